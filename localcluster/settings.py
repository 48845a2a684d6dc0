"""The addresses of the one cluster with a node, and what a person can choose about it."""

from dataclasses import dataclass

from localcluster.kubernetes_parts import SERVICE_RANGE, Ports

NAME = "vott-train"  # of the control group, the nft table and the CNI network
POLICY_TABLE = "vott-train-policies"  # of nft
NODE = "vott-train-node"
BRIDGE = "vott0"
HOST_ADDRESS = "10.244.0.1"  # this host, as pods and the host itself reach it
POD_RANGE = "10.244.0.0/24"
DIRECT_ADDRESSES = (HOST_ADDRESS, POD_RANGE, SERVICE_RANGE, "127.0.0.1", "localhost")  # never through a proxy
PORTS = Ports(api_server=16443, etcd=16379, etcd_peer=16380, controller_manager=16257, scheduler=16259)
KUBELET_PORT = 16250
KUBELET_HEALTH_PORT = 16248
PROXY_HEALTH_PORT = 16256
PROXY_METRICS_PORT = 16249
DNS_PORT = 16053  # the host may have a DNS server of its own at 53
BLOB_PORT, QUEUE_PORT, TABLE_PORT = 16000, 16001, 16002

NAMESPACE = "vott-train"
QUEUE = "training"
GPU_RESOURCE = "nvidia.com/gpu"


@dataclass(frozen=True)
class Options:
    """What ``up`` can be told."""

    gpus: int = 2
    operator: bool = True
