from .actions import Action as Action
from .actions import Mode as Mode
from .journal import Journal as Journal
from .records import Record as Record
from .replay import Difference as Difference
from .replay import Replayed as Replayed
from .replay import replay as replay
from .supervisor import Supervisor as Supervisor
