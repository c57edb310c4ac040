"""Charts of a recorded run: geometry computed here, drawn as SVG by the page's template."""

from reports.charts.model import Band, Chart
from reports.charts.run_charts import RunCharts, draw_charts

__all__ = ["Band", "Chart", "RunCharts", "draw_charts"]
