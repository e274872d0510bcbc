/* Cells of the data grid, and the functions that its options name. Plain React elements, no build step. */
(function () {
  "use strict";
  var functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  var cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  var h = function () { return window.React.createElement.apply(null, arguments); };

  functions.fmdNumber = function (value) {
    if (value === null || value === undefined) { return "–"; }
    if (Math.abs(value) >= 1e6) { return Number(value / 1e6).toLocaleString("en-US", { maximumSignificantDigits: 4 }) + " M"; }
    return Number(value).toLocaleString("en-US");
  };

  /* A narrow grid keeps the columns that say `narrow`, as wide as it says; its own width decides, not the window's. */
  functions.fmdSized = function (params) {
    var seen = params.api.getHorizontalPixelRange();
    var narrow = (params.clientWidth || seen.right - seen.left) < 640;
    var hide = [], show = [], widths = [];
    params.api.getColumns().forEach(function (column) {
      var def = column.getColDef(), own = def.context && def.context.narrow;
      if (def.hide) { return; }
      var wanted = !narrow || Boolean(own);
      if (wanted !== column.isVisible()) { (wanted ? show : hide).push(column); }
      if (typeof own === "number") { widths.push({ colId: column.getColId(), width: narrow ? own : def.width }); }
    });
    if (hide.length) { params.api.setColumnsVisible(hide, false); }
    if (show.length) { params.api.setColumnsVisible(show, true); }
    // Only then: in between, whoever has made a column wider keeps it so.
    if (narrow !== Boolean(params.api.fmdNarrow)) { params.api.applyColumnState({ state: widths }); }
    params.api.fmdNarrow = narrow;
  };

  /* The grid's first events come before anybody can listen to them; so each new grid is set up from here. */
  new MutationObserver(function (changes) {
    changes.forEach(function (change) {
      change.addedNodes.forEach(function (node) {
        if (node.nodeType !== 1) { return; }
        var root = node.closest(".ag-root-wrapper") || node.querySelector(".ag-root-wrapper");
        var table = root && root.closest(".fmd-table");
        if (!table || table.fmdSeen === root) { return; }
        table.fmdSeen = root;
        window.dash_ag_grid.getApiAsync(table.id).then(function (api) {
          functions.fmdSized({ api: api, clientWidth: root.clientWidth });
          functions.fmdFilter();
        });
      });
    });
  }).observe(document.documentElement, { childList: true, subtree: true });

  cells.FmdLink = function (props) {
    return h("a", { href: props.data[props.href], className: "fmd-link" }, props.value);
  };

  /* A moment; a narrow grid leaves out thousandths, and the day where it is today (style.css). */
  cells.FmdTime = function (props) {
    var parts = /^(.*) (\S+)(\.\d+)$/.exec(props.value) || ["", "", props.value, ""];
    return h("a", { href: props.data.href, className: "fmd-link" },
      parts[1] ? h("span", { className: props.data.today ? "fmd-wide-part" : "" }, parts[1] + " ") : null,
      parts[2], h("span", { className: "fmd-wide-part" }, parts[3]));
  };

  /* Text whose end tells most, and so loses its beginning where room is short. */
  cells.FmdEnd = function (props) {
    return h("span", { className: "fmd-end" }, h("bdi", null, props.value));
  };

  cells.FmdEndpoint = function (props) {
    var row = props.data;
    return h("span", { className: "fmd-endpoint" },
      h("span", { className: "fmd-dot", style: { background: row.color }, "aria-hidden": true }),
      h("a", { href: row.href, className: "fmd-link", title: row.name + (row.route ? "  " + row.route : "") }, h("bdi", null, row.name)),
      row.tag ? h("span", { className: "fmd-faint", title: "Service " + row.tag }, row.tag) : null);
  };

  /* A number that leads to the requests it counts. */
  function leading(href, text) {
    return href ? h("a", { href: href, className: "fmd-quiet-link" }, text) : text;
  }

  /* Rows are many: what they lead to is one address, and a filter for some of its requests. */
  function only(href, filter) {
    return href && filter ? href + (href.indexOf("?") < 0 ? "?" : "&") + filter : href;
  }

  cells.FmdNumber = function (props) {
    var row = props.data, text = props.valueFormatted || props.value;
    return leading(props.value ? only(row[props.href], row[props.only]) : "", text);
  };

  cells.FmdErrors = function (props) {
    var row = props.data;
    var title = row.clientErrors ? row.clientErrors.toLocaleString("en-US") + " answers of 400 to 499" : undefined;
    /* A rare error is normal; only what a user would notice is coloured. */
    var tone = !row.errors ? "fmd-faint" : row.errors >= 0.05 ? "fmd-bad" : row.errors >= 0.01 ? "fmd-warn" : "";
    return h("span", { className: tone, title: title }, leading(row.errors ? only(row.requestsHref, "status=5xx") : "", row.errorsText));
  };

  cells.FmdChange = function (props) {
    return h("span", { className: "fmd-delta " + props.data.changeTone }, props.data.changeText);
  };

  cells.FmdShare = function (props) {
    return h("span", { className: "fmd-share" },
      h("span", { className: "fmd-share-bar", "aria-hidden": true },
        h("span", { style: { width: Math.max(0, Math.min(100, props.data.share * 100)) + "%" } })),
      h("span", null, props.data.shareText));
  };

  cells.FmdSpark = function (props) {
    var points = props.value || [];
    if (points.length < 2) { return null; }
    var top = Math.max.apply(null, points) || 1, w = 66, height = 22;
    var line = points.map(function (v, i) {
      return (i * w / (points.length - 1)).toFixed(1) + "," + (height - 2 - v / top * (height - 4)).toFixed(1);
    });
    return h("svg", { width: w, height: height, className: "fmd-spark", role: "img",
      "aria-label": "between " + Math.min.apply(null, points) + " and " + top + " requests per hour" },
      h("polygon", { points: "0," + height + " " + line.join(" ") + " " + w + "," + height }),
      h("polyline", { points: line.join(" ") }));
  };

  var LEVELS = ["Last request only", "Duration, time, version, user and IP", "As level 1, and outliers in detail",
    "As level 2, and where the time of each request went; its Profiler says what that costs"];

  cells.FmdLevel = function (props) {
    var row = props.data;
    if (!props.mayChange) {
      return h("span", { className: "fmd-level-fixed level-" + row.level, title: LEVELS[row.level] }, row.level);
    }
    function set(level) {
      if (level === row.level) { return; }
      var before = row.level;
      props.node.setDataValue("level", level); // at once; the server's answer confirms or corrects it
      window.dash_clientside.set_props("level-wanted", {
        data: { id: Number(row.id), level: level, before: before, name: row.name, at: Date.now() },
      });
    }
    return h("span", { className: "fmd-levels", role: "radiogroup", "aria-label": "Monitor level of " + row.name },
      LEVELS.map(function (text, level) {
        return h("button", {
          key: level, type: "button", role: "radio", "aria-checked": level === row.level,
          className: "fmd-level" + (level === row.level ? " on level-" + level : ""),
          title: "Level " + level + ": " + text,
          "aria-label": "Level " + level + ": " + text,
          onClick: function () { set(level); },
        }, level);
      }));
  };
})();
