from .idaes import idaes_surrogate as idaes_surrogate
from .keras_export import export_keras as export_keras
from .keras_import import import_keras as import_keras
from .onnx_export import export_onnx as export_onnx
from .onnx_import import import_onnx as import_onnx
