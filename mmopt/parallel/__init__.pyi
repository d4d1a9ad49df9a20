from .background import Background as Background
from .cluster import Cluster as Cluster
from .own_process import OwnProcess as OwnProcess
from .pool import ProcessPool as ProcessPool
