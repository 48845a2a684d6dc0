"""Names, addresses and ports of the local cluster, and the options of ``up``."""

from dataclasses import dataclass

from localcluster.control_plane_programs import SERVICE_RANGE, Ports

NAME = "vott-train"  # of cgroup, nft table and CNI network
POLICY_TABLE = "vott-train-policies"  # of nft
NODE = "vott-train-node"
BRIDGE = "vott0"
HOST_ADDRESS = "10.244.0.1"  # this host, for pods and for the host itself
POD_RANGE = "10.244.0.0/24"
DIRECT_ADDRESSES = (HOST_ADDRESS, POD_RANGE, SERVICE_RANGE, "127.0.0.1", "localhost")  # never through a proxy
PORTS = Ports(api_server=16443, etcd=16379, etcd_peer=16380, controller_manager=16257, scheduler=16259)
KUBELET_PORT = 16250
KUBELET_HEALTH_PORT = 16248
PROXY_HEALTH_PORT = 16256
PROXY_METRICS_PORT = 16249
DNS_PORT = 16053  # the host may have its own DNS server at 53
BLOB_PORT, QUEUE_PORT, TABLE_PORT = 16000, 16001, 16002

NAMESPACE = "vott-train"
QUEUE = "training"
GPU_RESOURCE = "nvidia.com/gpu"


@dataclass(frozen=True)
class Options:
    """Options of ``up``."""

    gpus: int = 2
    operator: bool = True
