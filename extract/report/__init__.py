"""One HTML file about a run: what came out, what it took, where it went wrong. Needs the extra `report`.

`material` names the files, `facts` reads them into one frozen value, `plots` draws what is to be seen, `page` lays it
out, `writing` puts it in place. In the page, `record.js` shows one record, `table.js` the table, `page.js` the rest.
"""

from extract.report.write import write_report

__all__ = ["write_report"]
