/* Below each chart, the same as a table: for whoever does not see the chart, has no mouse, or wants the numbers.

   It is made when it is opened, of the figure that is there already, and made anew with each newer figure. Cells that
   a click on the chart would follow are buttons; one of them is a tab stop, the arrow keys lead to the others. */
(function () {
  "use strict";
  var fmd = window.fmd, el = fmd.profileTable.el;
  var opened = {};

  function plotOf(twin) {
    return twin.parentElement.querySelector(".js-plotly-plot");
  }

  function follow(plot, point) {
    var holder = plot.closest(".dash-graph");
    window.dash_clientside.set_props(JSON.parse(holder.id), { clickData: { points: [point] } });
  }

  function cellOf(tag, cell, column, plot, leads) {
    var made = el(tag, column.number ? "fmd-number" : "");
    if (!leads || !cell.point) {
      made.textContent = cell.text;
      return made;
    }
    var button = el("button", "fmd-cell-link", cell.text);
    button.type = "button";
    button.tabIndex = -1;
    button.addEventListener("click", function () { follow(plot, cell.point); });
    made.appendChild(button);
    return made;
  }

  function build(twin, plot) {
    var made = fmd.chartTable({ data: plot.data || [], layout: plot.layout || {} });
    var leads = twin.dataset.leads === "true", host = twin.querySelector(".fmd-twin-body");
    var table = el("table", "fmd-plain-table fmd-twin-table"), head = el("tr"), body = el("tbody");
    table.appendChild(el("caption", "", twin.dataset.caption + (made.unit ? " (" + made.unit + ")" : "")));
    made.columns.forEach(function (column) {
      var th = el("th", column.number ? "fmd-number" : "", column.title);
      th.scope = "col";
      head.appendChild(th);
    });
    var thead = el("thead");
    thead.appendChild(head);
    table.appendChild(thead);
    made.rows.forEach(function (row) {
      var tr = el("tr");
      row.cells.forEach(function (cell, i) {
        var one = cellOf(i ? "td" : "th", cell, made.columns[i], plot, leads);
        if (!i) { one.scope = "row"; }
        tr.appendChild(one);
      });
      body.appendChild(tr);
    });
    table.appendChild(body);
    var scroll = el("div", "fmd-twin-scroll"), notes = [];
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", twin.dataset.caption + ", table");
    scroll.appendChild(table);
    if (!made.rows.length) { notes.push("Nothing is drawn."); }
    if (made.more) { notes.push("The first " + made.rows.length + " of " + (made.rows.length + made.more) + " rows; a shorter range shows all."); }
    if (made.moreColumns) { notes.push(made.moreColumns + " more columns are not shown."); }
    if (table.querySelector("button")) { notes.push("Arrow keys go from cell to cell, Enter shows what is behind one."); }
    put(host, scroll, notes.length ? el("p", "fmd-caption", notes.join(" ")) : null);
  }

  /* Replaces the table; who was in it stays at the same place in it. */
  function put(host, scroll, note) {
    var old = host.querySelector(".fmd-twin-scroll"), was = old ? buttons(old).indexOf(document.activeElement) : -1;
    var top = old ? [old.scrollLeft, old.scrollTop] : [0, 0];
    host.textContent = "";
    if (note) { host.appendChild(note); }
    host.appendChild(scroll);
    scroll.scrollLeft = top[0];
    scroll.scrollTop = top[1];
    var all = buttons(scroll), current = all[Math.min(Math.max(was, 0), all.length - 1)];
    if (current) { current.tabIndex = 0; }
    if (was >= 0 && current) { current.focus(); }
  }

  function buttons(scroll) {
    return Array.prototype.slice.call(scroll.querySelectorAll("button.fmd-cell-link"));
  }

  function show(twin) {
    var plot = plotOf(twin);
    if (!twin.isConnected || !twin.open) { return; }
    if (!plot || !plot.on || !plot.data) { window.setTimeout(show, 100, twin); return; } // not drawn yet
    if (plot.fmdTwin !== twin) {
      plot.fmdTwin = twin;
      plot.on("plotly_afterplot", function () {
        if (twin.isConnected && twin.open && twin.fmdData !== plot.data) { twin.fmdData = plot.data; build(twin, plot); }
      });
    }
    twin.fmdData = plot.data;
    build(twin, plot);
  }

  document.addEventListener("toggle", function (event) {
    var twin = event.target;
    if (!twin.matches || !twin.matches("details.fmd-twin")) { return; }
    opened[twin.dataset.graph] = twin.open;
    if (twin.open) { show(twin); }
  }, true);

  /* What was open stays open when a card is drawn anew. */
  new MutationObserver(function (changes) {
    changes.forEach(function (change) {
      change.addedNodes.forEach(function (node) {
        if (node.nodeType !== 1 || node.namespaceURI !== "http://www.w3.org/1999/xhtml") { return; }
        var twins = node.matches("details.fmd-twin") ? [node] : node.querySelectorAll("details.fmd-twin:not([open])");
        Array.prototype.forEach.call(twins, function (twin) { if (opened[twin.dataset.graph]) { twin.open = true; } });
      });
    });
  }).observe(document.documentElement, { childList: true, subtree: true });

  /* Leaving a page closes its tables: the next time it opens as everybody knows it. */
  window.addEventListener("popstate", function () {
    Object.keys(opened).forEach(function (name) {
      if (!document.querySelector('details.fmd-twin[data-graph="' + name + '"]')) { delete opened[name]; }
    });
  });

  function next(from, key) {
    var row = from.closest("tr"), cells = Array.prototype.slice.call(row.children), at = cells.indexOf(from.closest("td,th"));
    var step = key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1, found = null;
    if (key === "ArrowLeft" || key === "ArrowRight") {
      for (at += step; at >= 0 && at < cells.length && !found; at += step) { found = cells[at].querySelector("button"); }
      return found;
    }
    var rows = Array.prototype.slice.call(row.parentElement.children), here = rows.indexOf(row);
    for (here += step; here >= 0 && here < rows.length && !found; here += step) {
      found = rows[here].children[at].querySelector("button");
    }
    return found;
  }

  document.addEventListener("keydown", function (event) {
    var from = event.target.closest ? event.target.closest("button.fmd-cell-link") : null;
    if (!from || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey || !/^Arrow/.test(event.key)) { return; }
    event.preventDefault();
    var to = next(from, event.key);
    if (to) { to.focus(); }
  });

  /* Tab comes back to where one was. */
  document.addEventListener("focusin", function (event) {
    var to = event.target.closest ? event.target.closest("button.fmd-cell-link") : null;
    if (!to) { return; }
    buttons(to.closest(".fmd-twin-scroll")).forEach(function (button) { button.tabIndex = button === to ? 0 : -1; });
  });
})();
