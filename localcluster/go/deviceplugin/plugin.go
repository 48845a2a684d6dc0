// Package deviceplugin advertises GPUs that do not exist, over the kubelet's own device plugin API (v1beta1, gRPC).
// Pods that ask for them are scheduled, counted and given devices exactly as with a vendor's plugin; only the hardware is missing.
package deviceplugin

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// Plugin serves a fixed number of healthy devices of one resource.
type Plugin struct {
	api.UnimplementedDevicePluginServer
	resource string
	devices  []*api.Device
}

// New makes a plugin for count devices of a resource such as "nvidia.com/gpu".
func New(resource string, count int) *Plugin {
	plugin := &Plugin{resource: resource}
	for i := range count {
		plugin.devices = append(plugin.devices, &api.Device{ID: fmt.Sprintf("simulated-gpu-%d", i), Health: api.Healthy})
	}
	return plugin
}

// GetDevicePluginOptions says that neither PreStartContainer nor GetPreferredAllocation is wanted.
func (p *Plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch sends the devices once; they never change, so the stream then stays open until the kubelet or the server ends it.
func (p *Plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	if err := stream.Send(&api.ListAndWatchResponse{Devices: p.devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// Allocate names the devices in the variable that NVIDIA's container runtime reads; there is no device file to mount.
func (p *Plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses, &api.ContainerAllocateResponse{
			Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")},
		})
	}
	return response, nil
}
