"""Stands in for Azure Container Apps: ARM's Microsoft.App, and exec into replicas that are local processes."""

from localcloud.container_apps.cloud import ContainerAppsCloud, replicas_root
from localcloud.container_apps.local_machine import LocalMachine, end_replicas
from localcloud.container_apps.ports import InvalidToken, Machine, Origins

__all__ = ["ContainerAppsCloud", "InvalidToken", "LocalMachine", "Machine", "Origins", "end_replicas", "replicas_root"]
