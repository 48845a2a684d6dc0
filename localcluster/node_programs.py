"""Configuration and command lines of containerd, kubelet, kube-proxy and the GPU device plugin."""

import json
import subprocess
from pathlib import Path

from localcluster import settings
from localcluster.cluster_dns import CLUSTER_DOMAIN, SERVICE_ADDRESS
from localcluster.control_plane_programs import ControlPlanePrograms
from localcluster.files import write_if_changed
from localcluster.http_probe import answers
from localcluster.paths import RUN, StateFolder, cache_folder
from localcluster.program import Program

CONTAINERD_SOCKET = RUN / "containerd.sock"
CONTAINERD_STATE = RUN / "containerd"
PAUSE_IMAGE = "localhost/vott-train/pause:1"
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")  # hard-coded in the kubelet
_DEVICE_PLUGIN_SOCKET = DEVICE_PLUGINS / (settings.GPU_RESOURCE.replace("/", "-").replace(".", "-") + ".sock")
_LOOPBACK = "127.0.0.1"
_UNUSED_SNAPSHOTTERS = ("aufs", "btrfs", "devmapper", "zfs")


class NodePrograms:
    """The programs of the node. Each method writes the program's configuration and returns its command line."""

    def __init__(self, binaries: Path, state: StateFolder, control_plane: ControlPlanePrograms) -> None:
        self._binaries = binaries
        self._state = state
        self._control_plane = control_plane

    def containerd(self) -> Program:
        """containerd, with its images in the cache so that they outlive the cluster."""
        self._write("cni/10-vott-train.conflist", json.dumps(_cni(), indent=1))
        config = self._write(
            "containerd.toml", _containerd_toml(cache_folder() / "containerd", self._state.config / "cni")
        )
        command = ("containerd", "--config", str(config))
        probe = ("ctr", "--address", str(CONTAINERD_SOCKET), "--connect-timeout", "1s", "version")

        def is_ready() -> bool:
            return (
                CONTAINERD_SOCKET.exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0
            )

        return Program("containerd", command, is_ready, str(CONTAINERD_SOCKET), config_files=(config,))

    def kubelet(self) -> Program:
        """The kubelet. The API server authenticates and authorizes its clients."""
        kubeconfig = self._control_plane.write_kubeconfig("kubelet", f"system:node:{settings.NODE}", ["system:nodes"])
        config = self._write("kubelet.json", json.dumps(self._kubelet_config(), indent=1))
        flags = {
            "config": config,
            "kubeconfig": kubeconfig,
            "hostname-override": settings.NODE,
            "node-ip": settings.HOST_ADDRESS,
            "root-dir": self._state.root / "kubelet",
            "cert-dir": self._state.root / "kubelet" / "pki",
            "v": 1,
        }
        url = f"http://{_LOOPBACK}:{settings.KUBELET_HEALTH_PORT}/healthz"
        return self._program("kubelet", flags, f"https://{settings.HOST_ADDRESS}:{settings.KUBELET_PORT}", url, config)

    def kube_proxy(self) -> Program:
        """kube-proxy in nftables mode."""
        kubeconfig = self._control_plane.write_kubeconfig("kube-proxy", "system:kube-proxy")
        config = self._write("kube-proxy.json", json.dumps(_kube_proxy_config(kubeconfig), indent=1))
        url = f"http://{_LOOPBACK}:{settings.PROXY_HEALTH_PORT}/healthz"
        return self._program("kube-proxy", {"config": config}, "nftables", url, config)

    def device_plugin(self, gpus: int) -> Program:
        """The plugin that advertises GPUs. It registers again when the kubelet restarts."""
        flags = {"plugins-folder": DEVICE_PLUGINS, "resource": settings.GPU_RESOURCE, "count": gpus}
        command = (str(self._binaries / "gpu-device-plugin"), *(f"--{flag}={value}" for flag, value in flags.items()))
        return Program("gpu-device-plugin", command, _DEVICE_PLUGIN_SOCKET.exists, f"{gpus} x {settings.GPU_RESOURCE}")

    def kubelet_client_flags(self) -> dict[str, str]:
        """Flags for the API server to connect to the kubelet (logs, exec) and to verify it."""
        client = self._control_plane.authority.client(
            "kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"]
        )
        return {
            "kubelet-certificate-authority": str(self._control_plane.authority.certificate),
            "kubelet-client-certificate": str(client.certificate),
            "kubelet-client-key": str(client.key),
            "kubelet-preferred-address-types": "InternalIP",
        }

    def _program(self, name: str, flags: dict[str, object], address: str, probe: str, config: Path) -> Program:
        command = (str(self._binaries / name), *(f"--{flag}={value}" for flag, value in flags.items()))
        return Program(name, command, lambda: answers(probe), address, config_files=(config,))

    def _write(self, name: str, content: str) -> Path:
        return write_if_changed(self._state.config / name, content)

    def _kubelet_config(self) -> dict[str, object]:
        authority = self._control_plane.authority
        serving = authority.server("kubelet-serving", [settings.HOST_ADDRESS, settings.NODE])
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": settings.HOST_ADDRESS,
            "port": settings.KUBELET_PORT,
            "healthzBindAddress": _LOOPBACK,
            "healthzPort": settings.KUBELET_HEALTH_PORT,
            "tlsCertFile": str(serving.certificate),
            "tlsPrivateKeyFile": str(serving.key),
            "authentication": {
                "x509": {"clientCAFile": str(authority.certificate)},
                "webhook": {"enabled": True},
                "anonymous": {"enabled": False},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "podLogsDir": str(self._state.root / "pod-logs"),
            "volumePluginDir": str(self._state.root / "volume-plugins"),
            "clusterDNS": [SERVICE_ADDRESS],
            "clusterDomain": CLUSTER_DOMAIN,
            **_KUBELET_ON_ANY_HOST,
        }


# Settings for a kubelet in a container or a small virtual machine, with cgroup v1, swap or an almost full disk.
_KUBELET_ON_ANY_HOST: dict[str, object] = {
    "cgroupDriver": "cgroupfs",
    "cgroupRoot": f"/{settings.NAME}",
    "failCgroupV1": False,
    "failSwapOn": False,
    "enforceNodeAllocatable": [],
    "makeIPTablesUtilChains": False,  # kube-proxy uses nftables
    "localStorageCapacityIsolation": True,
    "podPidsLimit": 4096,
    "evictionHard": {
        "memory.available": "100Mi",
        "nodefs.available": "1%",
        "imagefs.available": "1%",
        "nodefs.inodesFree": "1%",
    },
    "evictionPressureTransitionPeriod": "10s",  # a disk that was briefly full must not block pods for minutes
    "imageGCHighThresholdPercent": 100,  # containerd 1.6 can't pin images, so garbage collection would remove the pause image
    "imageGCLowThresholdPercent": 99,
    "imageMaximumGCAge": "0s",
}


def _cni() -> dict[str, object]:
    ipam = {
        "type": "host-local",
        "dataDir": str(RUN / "ipam"),
        "ranges": [[{"subnet": settings.POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": settings.BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": ipam}
    return {"cniVersion": "0.4.0", "name": settings.NAME, "plugins": [bridge]}


def _containerd_toml(root: Path, cni: Path) -> str:
    return f"""version = 2
root = "{root}"
state = "{CONTAINERD_STATE}"
disabled_plugins = {json.dumps([f"io.containerd.snapshotter.v1.{name}" for name in _UNUSED_SNAPSHOTTERS])}
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{cni}"
"""


def _kube_proxy_config(kubeconfig: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": settings.NODE,
        "clusterCIDR": settings.POD_RANGE,
        "conntrack": {"maxPerCore": 0, "min": 0},  # keep the host's limits
        "healthzBindAddress": f"{_LOOPBACK}:{settings.PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"{_LOOPBACK}:{settings.PROXY_METRICS_PORT}",
    }
