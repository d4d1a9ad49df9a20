from .background import Background as Background
from .cluster import Cluster as Cluster
from .pool import ProcessPool as ProcessPool
