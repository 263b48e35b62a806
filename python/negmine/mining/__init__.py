"""Hard-negative mining: miner, candidate pools, negatives, selection policies, margin sweeps, reports and guards."""

from __future__ import annotations

from negmine.mining.draw import Draw
from negmine.mining.fusion import fuse
from negmine.mining.guard import Decontamination, DecontaminationReport, FalseNegatives, exclude_near, false_negatives
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.negatives import HardNegatives, LabelIssues
from negmine.mining.policies import Policy, Quota, SimANS, Softmax, Stride, Typical
from negmine.mining.pool import CandidatePool
from negmine.mining.recommendation import FalseNegativeFigures, RankWindow, Recommendation
from negmine.mining.rejected import Rejected, Rejection
from negmine.mining.report import Reason, Report, Source
from negmine.mining.sources import PoolSources
from negmine.mining.sweep import Sweep
from negmine.mining.task import MiningTask, mine
from negmine.mining.verdicts import AppliedVerdicts, FalseNegativeShare, Verdicts

__all__ = [
    "AppliedVerdicts",
    "CandidatePool",
    "Decontamination",
    "DecontaminationReport",
    "Draw",
    "FalseNegativeFigures",
    "FalseNegativeShare",
    "FalseNegatives",
    "HardNegativeMiner",
    "HardNegatives",
    "LabelIssues",
    "MiningTask",
    "Policy",
    "PoolSources",
    "Quota",
    "RankWindow",
    "Reason",
    "Recommendation",
    "Rejected",
    "Rejection",
    "Report",
    "SimANS",
    "Softmax",
    "Source",
    "Stride",
    "Sweep",
    "Typical",
    "Verdicts",
    "exclude_near",
    "false_negatives",
    "fuse",
    "mine",
]
