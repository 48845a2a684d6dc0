package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"vott.dev/localcluster/deviceplugin"
)

func runDevicePlugin() int {
	flags := flag.NewFlagSet("gpu-device-plugin", flag.ExitOnError)
	folder := flags.String("plugins-folder", "/var/lib/kubelet/device-plugins", "the kubelet's folder of device plugin sockets")
	resource := flags.String("resource", "nvidia.com/gpu", "name of the resource to advertise")
	count := flags.Int("count", 2, "how many devices to advertise")
	_ = flags.Parse(os.Args[1:])

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := deviceplugin.New(*resource, *count).Run(ctx, *folder); err != nil {
		slog.Error("device plugin ended", "error", err)
		return 1
	}
	return 0
}
