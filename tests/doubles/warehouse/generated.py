"""The connector's generated Thrift code and its library, as `Any`: they have no type hints."""

from typing import Any

from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol  # type: ignore[import-untyped]
from thrift.Thrift import TApplicationException, TMessageType  # type: ignore[import-untyped]
from thrift.transport.TTransport import TMemoryBuffer  # type: ignore[import-untyped]

service: Any = TCLIService
types: Any = ttypes
protocol: Any = TBinaryProtocol
buffer: Any = TMemoryBuffer
message: Any = TMessageType
problem: Any = TApplicationException
