/* Down and up the lines of lists: data grids, tables, whatever holds lines that lead somewhere; Enter opens one. */
(function () {
  "use strict";
  var fmd = window.fmd;
  var LISTS = ".fmd-table, table.fmd-plain-table", LEADS = "a[href], button";

  function all(root, selector) {
    return Array.prototype.slice.call(root.querySelectorAll(selector));
  }

  function lines(list) {
    return all(list, "tbody tr").filter(function (row) { return row.querySelector(LEADS); });
  }

  function gridOf(list) {
    if (!list.matches(".fmd-table")) { return null; }
    try { return window.dash_ag_grid.getApi(list.id); } catch (e) { return null; } // not there yet
  }

  function holds(list) {
    var api = gridOf(list);
    return list.getClientRects().length > 0 && (list.matches(".fmd-table") ? api && api.getDisplayedRowCount() : lines(list).length);
  }

  /* The list that somebody is in, else the first on the page that has lines. */
  function listAt() {
    var within = document.activeElement && document.activeElement.closest(LISTS);
    var page = document.getElementById("page");
    return within && holds(within) ? within : page ? all(page, LISTS).find(holds) : null;
  }

  function walkGrid(list, api, step) {
    var at = list.contains(document.activeElement) ? api.getFocusedCell() : null;
    var row = at ? Math.min(Math.max(0, at.rowIndex + step), api.getDisplayedRowCount() - 1) : 0;
    var column = at ? at.column : api.getAllDisplayedColumns()[0];
    api.ensureIndexVisible(row);
    api.setFocusedCell(row, column);
  }

  function walkTable(list, step) {
    var rows = lines(list), here = document.activeElement.closest("tr"), at = rows.indexOf(here);
    var next = rows[at < 0 ? 0 : Math.min(Math.max(0, at + step), rows.length - 1)];
    var cell = at < 0 ? -1 : Array.prototype.indexOf.call(here.children, document.activeElement.closest("td,th"));
    var target = (next.children[cell] && next.children[cell].querySelector(LEADS)) || next.querySelector(LEADS);
    target.focus();
  }

  fmd.walk = function (step) {
    var list = listAt();
    if (!list) { return false; }
    var api = gridOf(list);
    if (api) { walkGrid(list, api, step); } else { walkTable(list, step); }
    return true;
  };

  /* A line of a grid opens where its first link leads. */
  document.addEventListener("keydown", function (event) {
    var cell = event.target;
    if (event.key !== "Enter" || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) { return; }
    if (!cell.matches || !cell.matches(".fmd-table .ag-row .ag-cell")) { return; }
    var link = cell.closest(".ag-row").querySelector("a[href]");
    if (link) {
      event.preventDefault();
      link.click();
    }
  });
})();
