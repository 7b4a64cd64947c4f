"""Lines of a task's pod, from the server of Kubeflow's web interface.

They are no part of the pipelines' API: the interface has an address of its own for them,
`/k8s/pod/logs`, which asks Kubernetes, and the archive of logs where there is one.
"""

import codecs
from collections.abc import Iterator
from urllib.parse import urlencode

import urllib3

from audiostyle.errors import AudiostyleError, InputError
from pipeline.cluster.client import Client


def lines(client: Client, run_id: str, pod: str) -> Iterator[str]:
    """The lines of a pod, as they come. Raises InputError where the server has none."""
    query = urlencode({"podname": pod, "runid": run_id, "podnamespace": client.pods})
    pool = urllib3.PoolManager(
        retries=False, cert_reqs="CERT_REQUIRED", ca_certs=client.connection.ca_file or None
    )
    timeout = urllib3.Timeout(connect=client.patience.connect, read=client.patience.read)
    try:
        answer = pool.request(
            "GET",
            f"{client.ui}/k8s/pod/logs?{query}",
            headers=client.headers,
            timeout=timeout,
            preload_content=False,
        )
        if answer.status != 200 or "html" in answer.headers.get("content-type", ""):
            told = " ".join(answer.read(500).decode(errors="replace").split())
            told = "a page" if told.startswith("<") else f"{answer.status} {told}"
            raise InputError(
                f"logs: {client.ui} answers {told}; the pod may be gone, or --ui is not the web"
                f" interface. Try `kubectl logs {pod} --namespace {client.pods} --container main`"
            )
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        for chunk in answer.stream(1 << 16, decode_content=True):
            *whole, rest = (rest + decoder.decode(chunk)).split("\n")
            yield from whole
        if rest:
            yield rest
    except urllib3.exceptions.HTTPError as error:
        raise AudiostyleError(
            f"logs: {client.ui} cannot be asked ({type(error).__name__})"
        ) from None
