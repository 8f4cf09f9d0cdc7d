# SPDX-License-Identifier: Apache-2.0
"""redis: a span "redis GET" for each command, "redis PIPELINE" for commands sent together. Keys and
values are not kept."""
from __future__ import annotations

import functools
import sys
from typing import Any, Dict, Tuple

from .patching import Patches, opened, quietly

_COMMANDS_SHOWN_MAX = 10


def _where(client: Any) -> Dict[str, Any]:
    given = client.connection_pool.connection_kwargs
    return {"db.system.name": "redis", "db.namespace": str(given.get("db", 0)),
            "server.address": given.get("host") or given.get("path"),
            "server.port": given.get("port")}


def _describe_command(client: Any, command: Any, count: int) -> Tuple[str, Dict[str, Any]]:
    operation = str(command).upper()
    return f"redis {operation}", {
        "db.operation.name": operation, "db.query.text": operation + " ?" * min(count, 10),
        **(quietly(_where, client) or {"db.system.name": "redis"})}


def _describe_pipeline(pipeline: Any) -> Tuple[str, Dict[str, Any]]:
    commands = [str(_command_of(item)).upper() for item in pipeline.command_stack]
    return "redis PIPELINE", {
        "db.operation.name": "PIPELINE", "db.operation.batch.size": len(commands),
        "db.query.text": " ".join(commands[:_COMMANDS_SHOWN_MAX]),
        **(quietly(_where, pipeline) or {"db.system.name": "redis"})}


def _command_of(item: Any) -> Any:
    """Of a pipeline's stack: (arguments, options), or an object that has them."""
    return (item[0] if isinstance(item, tuple) else item.args)[0]


def patch(patches: Patches) -> None:
    module = sys.modules["redis"]
    import redis.asyncio  # Part of the package that is imported already.

    def sync(original: Any) -> Any:
        @functools.wraps(original)
        def execute_command(self: Any, *args: Any, **options: Any) -> Any:
            with opened(patches, _describe_command, self, args[0] if args else "", len(args) - 1):
                return original(self, *args, **options)
        return execute_command

    def asynchronous(original: Any) -> Any:
        @functools.wraps(original)
        async def execute_command(self: Any, *args: Any, **options: Any) -> Any:
            with opened(patches, _describe_command, self, args[0] if args else "", len(args) - 1):
                return await original(self, *args, **options)
        return execute_command

    def sync_pipeline(original: Any) -> Any:
        @functools.wraps(original)
        def execute(self: Any, *args: Any, **options: Any) -> Any:
            with opened(patches, _describe_pipeline, self):
                return original(self, *args, **options)
        return execute

    def asynchronous_pipeline(original: Any) -> Any:
        @functools.wraps(original)
        async def execute(self: Any, *args: Any, **options: Any) -> Any:
            with opened(patches, _describe_pipeline, self):
                return await original(self, *args, **options)
        return execute

    patches.replace(module.Redis, "execute_command", sync)
    patches.replace(module.client.Pipeline, "execute", sync_pipeline)
    patches.replace(redis.asyncio.Redis, "execute_command", asynchronous)
    patches.replace(redis.asyncio.client.Pipeline, "execute", asynchronous_pipeline)
    if hasattr(module, "RedisCluster"):
        patches.replace(module.RedisCluster, "execute_command", sync)
        patches.replace(redis.asyncio.RedisCluster, "execute_command", asynchronous)
