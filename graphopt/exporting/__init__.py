"""From a torch module to an ONNX file that is checked against it. torch is imported when it is needed."""

from graphopt.exporting.exportable import DynamicShapes, Exportable
from graphopt.exporting.job import Exporter, export
from graphopt.exporting.result import ExportResult

__all__ = ["DynamicShapes", "ExportResult", "Exportable", "Exporter", "export"]
