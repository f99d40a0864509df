"""One HTML file about a run: its values, its cost, its errors. Needs the extra `report`.

`material` opens the files, `facts` reads them into one frozen value, `plots` draws it, `page` lays it out, `write` puts
the file in place. In the page, `record.js` shows one record, `table.js` the table of records, `page.js` the rest.
"""

from extract.report.write import write_report

__all__ = ["write_report"]
