"""One self-contained HTML page about a replay: what happened when, and the evidence for it."""

from edge_agent.report.data import CaseReport, Recording, ReportData
from edge_agent.report.report import render_report, write_report
from edge_agent.report.wording import START_FROM

__all__ = ["START_FROM", "CaseReport", "Recording", "ReportData", "render_report", "write_report"]
