// Command cluster is one program with every part of a Kubernetes cluster in it, so that one link serves them all.
// The name it is called by (a symbolic link), or its first argument, says which part runs.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// A part runs with os.Args as a program of its own would see them, and gives the exit code.
var parts = map[string]func() int{
	"etcd":                    runEtcd,
	"gpu-device-plugin":       runDevicePlugin,
	"helm":                    runHelm,
	"kube-apiserver":          runAPIServer,
	"kube-controller-manager": runControllerManager,
	"kube-proxy":              runProxy,
	"kube-scheduler":          runScheduler,
	"kubelet":                 runKubelet,
	"kwok":                    runKwok,
}

func main() {
	if run, ok := parts[filepath.Base(os.Args[0])]; ok {
		os.Exit(run())
	}
	if len(os.Args) > 1 {
		if run, ok := parts[os.Args[1]]; ok {
			os.Args = os.Args[1:]
			os.Exit(run())
		}
	}
	fmt.Fprintf(os.Stderr, "usage: %s PART [ARGUMENT...]\nparts: %s\n", os.Args[0], strings.Join(partNames(), ", "))
	os.Exit(2)
}

// forgetGlobalFlags drops the flags that Kubernetes' packages register for every command of a program (its --version is not a switch,
// as others expect theirs to be).
func forgetGlobalFlags() {
	pflag.CommandLine = pflag.NewFlagSet(os.Args[0], pflag.ContinueOnError)
}

func partNames() []string {
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
