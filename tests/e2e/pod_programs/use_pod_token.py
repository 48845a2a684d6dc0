"""Send requests with the pod's mounted token and print the API server's status codes as JSON.

OWN and OTHER are names of TrainingJobs: the pod's own, and another.
"""

import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path

MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TYPES = {"PATCH": "application/merge-patch+json"}
token, namespace = ((MOUNTED / name).read_text() for name in ("token", "namespace"))
trusted = ssl.create_default_context(cafile=str(MOUNTED / "ca.crt"))
opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusted), urllib.request.ProxyHandler({}))


def status(method: str, path: str, body: object = None) -> int:
    """Status code of the response."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": TYPES.get(method, "application/json")}
    request = urllib.request.Request(f"https://kubernetes.default.svc/{path}", data, headers, method=method)
    try:
        with opener.open(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


core_api = f"api/v1/namespaces/{namespace}"
jobs = f"apis/vott.dev/v1alpha1/namespaces/{namespace}/trainingjobs"
own, other = (f"{jobs}/{os.environ[name]}" for name in ("OWN", "OTHER"))
progress = {"status": {"progress": {"percent": 1}}}
suspended = {"spec": {"suspend": True}}
print(
    json.dumps(
        {
            "own status": status("PATCH", f"{own}/status", progress),
            "own phase": status("PATCH", f"{own}/status", {"status": {"phase": "Complete"}}),
            "own spec": status("PATCH", own, suspended),
            "other status": status("PATCH", f"{other}/status", progress),
            "other spec": status("PATCH", other, suspended),
            "read own": status("GET", own),
            "delete own": status("DELETE", own),
            "list": status("GET", jobs),
            "secrets": status("GET", f"{core_api}/secrets"),
            "pods": status("GET", f"{core_api}/pods"),
            "own token": status("POST", f"{core_api}/serviceaccounts/default/token", {}),
            "nodes": status("GET", "api/v1/nodes"),
        }
    ),
    flush=True,
)
