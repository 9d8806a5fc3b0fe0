"""Write the report page."""

from pathlib import Path

from pseudocohort.job import logged
from pseudocohort.report.page import write_page

with logged(snakemake.log[0]):
    given = ("summary", "import_report", "weights", "dictionary", "run_config", "models", "model", "associations")
    write_page(
        snakemake.output[0],
        figures=Path(snakemake.input[0]).parent,
        captions=Path(__file__).parent.parent / "workflow" / "report",
        language=snakemake.params.language,
        **{name: snakemake.input[name] for name in given},
    )
