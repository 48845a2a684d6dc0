package main

import (
	"errors"
	"fmt"
	"os"

	helm "helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/kube"
)

func runHelm() int {
	forgetGlobalFlags()
	kube.ManagedFieldsManager = "helm" // server-side apply would else take the name of this program
	command, err := helm.NewRootCmd(os.Stdout, os.Args[1:], helm.SetupLogging)
	if err == nil {
		err = command.Execute()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	var withCode helm.CommandError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &withCode):
		return withCode.ExitCode
	default:
		return 1
	}
}
