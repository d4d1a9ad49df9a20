from .active_limit import ActiveLimit as ActiveLimit
from .feed_table import FeedTable as FeedTable
from .plan import Plan as Plan
from .plan import Replay as Replay
from .plan import SolveRecord as SolveRecord
from .plan_file import load_plan as load_plan
