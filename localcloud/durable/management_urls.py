"""The URLs that the engine hands out, and the text of a durable client binding (functions-host.md 2.1)."""

from urllib.parse import quote

from localcloud.durable.texts import to_json
from localcloud.durable.web_messages import DurableAddresses

_WEBHOOKS = "/runtime/webhooks/durabletask"
_PLACEHOLDER = "INSTANCEID"
_SAFE_IN_IDS = "!$&'()*+,;=:@-._~"


class ManagementUrls:
    """Makes URLs for one hub."""

    def __init__(self, *, hub: str, addresses: DurableAddresses) -> None:
        self._hub = hub
        self._addresses = addresses
        self._code = f"code={quote(addresses.system_key, safe='')}" if addresses.system_key else ""
        self._required = "&".join(filter(None, (f"taskHub={quote(hub)}", "connection=Storage", self._code)))

    def of(self, origin: str, instance_id: str, *, with_rewind: bool) -> dict[str, str]:
        """What may be done with an instance; answers of the host leave rewind out [golden]."""
        shown = instance_id if instance_id == _PLACEHOLDER else quote(instance_id, safe=_SAFE_IN_IDS)
        instance = f"{origin}{_WEBHOOKS}/instances/{shown}"
        urls = {
            "id": instance_id,
            "statusQueryGetUri": f"{instance}?{self._required}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{self._required}",
            "terminatePostUri": f"{instance}/terminate?reason={{text}}&{self._required}",
            "rewindPostUri": f"{instance}/rewind?reason={{text}}&{self._required}",
            "purgeHistoryDeleteUri": f"{instance}?{self._required}",
            "restartPostUri": f"{instance}/restart?{self._required}",
            "suspendPostUri": f"{instance}/suspend?reason={{text}}&{self._required}",
            "resumePostUri": f"{instance}/resume?reason={{text}}&{self._required}",
        }
        if not with_rewind:
            del urls["rewindPostUri"]
        return urls

    def client_binding(self) -> str:
        """The JSON text that a function with a durable client binding is given."""
        base = f"{self._addresses.public_origin}{_WEBHOOKS}"
        start = f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
        code = f"?{self._code}" if self._code else ""
        wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
        return to_json(
            {
                "taskHubName": self._hub,
                "connectionName": None,
                "creationUrls": {
                    "createNewInstancePostUri": f"{start}{code}",
                    "createAndWaitOnNewInstancePostUri": f"{start}?{'&'.join(filter(None, (wait, self._code)))}",
                },
                "managementUrls": self.of(self._addresses.public_origin, _PLACEHOLDER, with_rewind=True),
                "baseUrl": base,
                "requiredQueryStringParameters": self._code,
                "rpcBaseUrl": f"{self._addresses.rpc_origin}/durabletask/",
                "httpBaseUrl": None,
                "maxGrpcMessageSizeInBytes": None,
                "grpcHttpClientTimeout": None,
            }
        )
