package deviceplugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	checkEvery      = 500 * time.Millisecond
	registerTimeout = 5 * time.Second
)

// Run serves the plugin in the kubelet's folder until the context ends. A kubelet that starts removes every socket in that folder
// and forgets its plugins, so the plugin then serves and registers anew.
func (p *Plugin) Run(ctx context.Context, folder string) error {
	for ctx.Err() == nil {
		if err := p.serveOnce(ctx, folder); err != nil {
			slog.Info("not registered with the kubelet, trying again", "error", err)
		}
		pause(ctx)
	}
	return nil
}

// serveOnce serves, registers, and returns when the kubelet has restarted or the context has ended.
func (p *Plugin) serveOnce(ctx context.Context, folder string) error {
	kubelet := filepath.Join(folder, "kubelet.sock")
	before, err := os.Stat(kubelet)
	if err != nil {
		return err
	}
	socket := filepath.Join(folder, strings.NewReplacer("/", "-", ".", "-").Replace(p.resource)+".sock")
	server, err := p.listen(socket)
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := p.register(ctx, kubelet, filepath.Base(socket)); err != nil {
		return err
	}
	slog.Info("registered with the kubelet", "resource", p.resource, "devices", len(p.devices))
	for ctx.Err() == nil && isSame(kubelet, before) && exists(socket) {
		pause(ctx)
	}
	return nil
}

func (p *Plugin) listen(socket string) (*grpc.Server, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	go func() {
		if err := server.Serve(listener); err != nil {
			slog.Error("the plugin's server ended", "error", err)
		}
	}()
	return server, nil
}

func (p *Plugin) register(ctx context.Context, kubelet, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+kubelet, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	request := &api.RegisterRequest{Version: api.Version, Endpoint: endpoint, ResourceName: p.resource}
	if _, err := api.NewRegistrationClient(connection).Register(ctx, request); err != nil {
		return fmt.Errorf("register at %s: %w", kubelet, err)
	}
	return nil
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(checkEvery):
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isSame(path string, before os.FileInfo) bool {
	now, err := os.Stat(path)
	return err == nil && os.SameFile(before, now)
}
