/* A chart as a table: what its figure says in rows and columns. No document here, so that it can be tested alone.

   fmd.chartTable(figure) answers {columns, rows, more}: a column has a title, and says whether it holds numbers; a
   row has cells [{text, point}], the first of which is its heading. A point is what plotly would report of a click
   on the same spot; it is left out where a click would lead nowhere. */
(function () {
  "use strict";
  var fmd = (window.fmd = window.fmd || {});
  var MOST_ROWS = 500, MOST_COLUMNS = 60;
  var UNITS = { "µs": 1, ms: 1e3, s: 1e6, min: 6e7, h: 3.6e9 };
  var DATE = /^\d{4}-\d\d-\d\d([ T]|$)/;

  /* What plotly shows as markup, as a line of text. */
  function plain(text) {
    return String(text === null || text === undefined ? "" : text)
      .replace(/<br\s*\/?>|\n/g, "; ").replace(/<[^>]*>/g, "")
      .replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&#x27;|&#39;/g, "'").replace(/&amp;/g, "&");
  }

  function microseconds(text) {
    var parts = /^([\d.,]+) (µs|ms|s|min|h)$/.exec(text);
    return parts ? Number(parts[1].replace(/,/g, "")) * UNITS[parts[2]] : NaN;
  }

  function number(value) {
    var v = Number(value);
    if (typeof value !== "number" || !isFinite(v)) { return plain(value); }
    return v.toLocaleString("en-US", Math.abs(v) >= 1000 || v === Math.round(v)
      ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 });
  }

  function moment(value) {
    return String(value).replace("T", " ").replace(/\.\d+$/, "").replace(/^(\d{4}-\d\d-\d\d \d\d:\d\d):00$/, "$1");
  }

  /* How the values of an axis read, and what they are called. */
  function scaleOf(axis, values) {
    var ticks = (axis.tickvals || []).map(Number), said = (axis.ticktext || []).map(plain), unit = "", title = "";
    var all = function (holds) { return said.length > 0 && said.length === ticks.length && said.every(holds); };
    var first = values.find(function (v) { return v !== null && v !== undefined; });
    if (axis.type === "date" || (typeof first === "string" && DATE.test(first))) {
      title = values.every(function (v) { return String(v).length <= 10; }) ? "Day" : "Time";
      return { kind: "date", title: title, unit: "", show: moment };
    }
    if (all(function (text, i) { return /^\d\d:00$/.test(text) && Number(text.slice(0, 2)) === ticks[i]; })) {
      return { kind: "hour", title: "Hour", unit: "", show: function (v) { return (v < 10 ? "0" : "") + v + ":00"; } };
    }
    if (all(function (text, i) { return Math.abs(microseconds(text) - ticks[i]) <= 0.02 * ticks[i]; })) {
      return { kind: "duration", title: "Duration", unit: "", show: function (v) { return fmd.profile.duration(v); } };
    }
    if (all(function (_, i) { return ticks[i] === ticks[0] + i; })) {
      return { kind: "name", title: "", unit: "", show: function (v) {
        var at = ticks.indexOf(Math.round(v));
        return at < 0 ? number(v) : said[at];
      } };
    }
    unit = (axis.ticksuffix || "").trim() || plain((axis.title && axis.title.text) || axis.title || "");
    return { kind: typeof first === "string" ? "name" : "number", title: "", unit: unit, show: number };
  }

  function axisOf(layout, letter, trace) {
    return layout[letter + "axis" + String((trace && trace[letter + "axis"]) || letter).slice(1)] || {};
  }

  function titled(name, unit) {
    return unit && name ? name + " (" + unit + ")" : name || unit;
  }

  /* A trace that nobody sees: it only holds what is said, and where a click leads. */
  function unseen(trace) {
    var marker = trace.marker || {}, line = trace.line || {};
    return !trace.name && (marker.opacity === 0 || marker.size === 1 || line.width === 0);
  }

  function leads(trace) {
    return trace.hoverinfo !== "skip" && (trace.line || {}).dash !== "dash";
  }

  function pointOf(trace, curve, i) {
    var point = { curveNumber: curve, pointNumber: i, pointIndex: i, x: trace.x[i], y: trace.y[i] };
    if (Array.isArray(trace.customdata)) { point.customdata = trace.customdata[i]; }
    return point;
  }

  /* What a hover text says beyond the numbers of the row: not its heading, nor what has columns already. */
  function details(trace, i, known) {
    var template = trace.hovertemplate || "";
    if (!/^(<b>%\{y\}<\/b>, version %\{x\}<br>)?(<b>)?%\{text\}(<\/b>)?<extra><\/extra>$/.test(template) || !Array.isArray(trace.text)) { return ""; }
    return String(trace.text[i] || "").split("<br>").filter(function (line, nth) {
      return !(nth === 0 && /^<b>[^]*<\/b>$/.test(line)) && !(known && known.test(line));
    }).map(plain).join("; ");
  }

  function deployments(layout) {
    return (layout.annotations || []).filter(function (note) {
      return note.text && note.xref === "x" && DATE.test(String(note.x));
    }).map(function (note) { return { x: String(note.x), text: plain(note.text) + " deployed" }; });
  }

  /* Lines, bars and dots: a row for each place on the x axis, a column for each trace. */
  function series(data, layout) {
    var meta = layout.meta || {}, seen = data.filter(function (trace) { return trace.x && trace.y; });
    var x = scaleOf(layout.xaxis || {}, [].concat.apply([], seen.map(function (trace) { return trace.x; })));
    var cloud = scaleOf(layout.yaxis || {}, [].concat.apply([], seen.map(function (trace) { return trace.y; })));
    var columns = [{ title: titled(meta.x || x.title, x.unit) }], keyed = {}, order = [];
    if (cloud.kind === "name") { return places(data, layout, x, cloud); }
    data.forEach(function (trace, curve) {
      if (!trace.x || !trace.y || trace.fill === "toself") { return; }
      var hidden = unseen(trace), column = 0, met = {};
      var y = scaleOf(axisOf(layout, "y", trace), trace.y);
      if (!hidden) { column = columns.push({ title: titled(plain((trace.meta && trace.meta.column) || trace.name) || meta.y || (y.unit ? "" : "Value"), y.unit), number: true }) - 1; }
      trace.x.forEach(function (value, i) {
        // The same place twice in a trace is two rows.
        var key = String(value) + "#" + (met[value] = (met[value] || 0) + 1);
        if (!keyed[key]) {
          keyed[key] = { x: value, cells: [{ text: x.show(value) }], details: [] };
          order.push(keyed[key]);
        }
        var more = details(trace, i);
        if (more && more !== "; ") { keyed[key].details.push(more); }
        if (hidden || trace.y[i] === null || trace.y[i] === undefined) { return; }
        keyed[key].cells[column] = { text: y.show(trace.y[i]), point: leads(trace) ? pointOf(trace, curve, i) : undefined };
      });
    });
    if (x.kind !== "name") { order.sort(function (a, b) { return a.x < b.x ? -1 : a.x > b.x ? 1 : 0; }); }
    deployments(layout).forEach(function (deploy) {
      var row = order.filter(function (each) { return String(each.x) <= deploy.x; }).pop() || order[0];
      if (row) { row.details.push(deploy.text); }
    });
    return finish(columns, order, true);
  }

  /* Dots whose places on both axes have names: a row for each. */
  function places(data, layout, x, y) {
    var meta = layout.meta || {}, rows = [];
    data.forEach(function (trace, curve) {
      (trace.x || []).forEach(function (value, i) {
        rows.push({
          cells: [{ text: y.show(trace.y[i]), point: leads(trace) ? pointOf(trace, curve, i) : undefined }, { text: x.show(value) }],
          details: [details(trace, i)],
        });
      });
    });
    return finish([{ title: meta.y || y.title }, { title: titled(meta.x || x.title, x.unit) }], rows);
  }

  /* Boxes: a row for each, with the percentiles that it is made of. */
  function boxes(data, layout) {
    var meta = layout.meta || {}, fences = meta.fences || ["p5", "p95"], rows = [], latest = [], strokes = [];
    var names = {}, alone = true;
    data.forEach(function (trace, curve) {
      var lying = trace.orientation === "h" || (trace.type !== "box" && latest.length && latest[0].lying);
      var at = (lying ? trace.y : trace.x) || [];
      if (trace.type === "box") {
        var place = scaleOf(axisOf(layout, lying ? "y" : "x", trace), at);
        var value = scaleOf(axisOf(layout, lying ? "x" : "y", trace), trace.median);
        latest = at.map(function (where, i) {
          var row = { lying: lying, where: where, unit: value.unit, details: [], extra: {},
            series: plain(trace.name), title: meta[lying ? "y" : "x"] || place.title,
            cells: [{ text: place.show(where) }].concat(["lowerfence", "q1", "median", "q3", "upperfence"].map(function (each) {
              return { text: value.show(trace[each][i]) };
            })) };
          row.show = value.show;
          rows.push(row);
          return row;
        });
        names[trace.name] = true;
        alone = alone && at.length === 1 && at[0] === trace.name;
        return;
      }
      if (!trace.name && !unseen(trace)) { return; } // what a box is made of
      at.forEach(function (where, i) {
        var row = latest.find(function (each) { return each.where === where; });
        if (!row) { return; }
        if (!unseen(trace)) {
          if (strokes.indexOf(trace.name) < 0) { strokes.push(trace.name); }
          row.extra[trace.name] = row.show((lying ? trace.x : trace.y)[i]);
          return;
        }
        row.details.push(details(trace, i, /^(median |half of them )/));
        if (leads(trace)) { row.cells[0].point = pointOf(trace, curve, i); }
      });
    });
    var several = !alone && Object.keys(names).length > 1, unit = rows.length ? rows[0].unit : "";
    rows.forEach(function (row, i) { row.nth = i; });
    rows.sort(function (a, b) {
      return typeof a.where === "number" && Math.round(a.where) !== Math.round(b.where) ? a.where - b.where : a.nth - b.nth;
    });
    rows.forEach(function (row) {
      strokes.forEach(function (name) { row.cells.push({ text: row.extra[name] || "" }); });
      if (several) { row.cells.splice(1, 0, { text: row.series }); }
    });
    var columns = [fences[0], "p25", "median", "p75", fences[1]].concat(strokes).map(function (name) {
      return { title: titled(plain(name), unit), number: true };
    });
    if (several) { columns.unshift({ title: meta.series || "Series" }); }
    return finish([{ title: rows.length ? rows[0].title : "" }].concat(columns), rows);
  }

  /* The middle between two edges of a heat map's cells, as plotly reports it. */
  function middle(from, to) {
    if (typeof from === "number") { return (from + to) / 2; }
    var utc = function (text) { return Date.parse(String(text).replace(" ", "T") + (String(text).length > 10 ? "Z" : "")); };
    return new Date((utc(from) + utc(to)) / 2).toISOString().slice(0, 19).replace("T", " ");
  }

  /* Heat maps: of time and another side, the longer one runs down; what is empty is left out. */
  function heat(trace, layout, curve) {
    var meta = layout.meta || {}, x = scaleOf(layout.xaxis || {}, trace.x), y = scaleOf(layout.yaxis || {}, trace.y);
    var across = side(trace.x, trace.z.length ? trace.z[0].length : 0, x, meta.x), down = side(trace.y, trace.z.length, y, meta.y);
    var turned = x.kind === "date" && across.places.length > down.places.length, total;
    function z(i, j) { return trace.z[i][j]; }
    function has(i, j) { return z(i, j) !== null && z(i, j) !== undefined; }
    var is = down.places.filter(function (i) { return across.places.some(function (j) { return has(i, j); }); });
    var js = across.places.filter(function (j) { return down.places.some(function (i) { return has(i, j); }); });
    function cell(i, j) {
      if (!has(i, j)) { return { text: "" }; }
      return { text: number(z(i, j)), point: z(i, j) === 0 ? undefined : { curveNumber: curve, pointNumber: [i, j], pointIndex: [i, j],
        x: across.middle(j), y: down.middle(i), z: z(i, j) } };
    }
    var rowSide = turned ? across : down, columnSide = turned ? down : across;
    var outer = turned ? js : is, inner = turned ? is : js;
    total = inner.length;
    inner = inner.slice(0, MOST_COLUMNS);
    var made = finish([{ title: rowSide.title }].concat(inner.map(function (k) { return { title: columnSide.show(k), number: true }; })),
      outer.map(function (k) {
        return { cells: [{ text: rowSide.show(k) }].concat(inner.map(function (l) { return turned ? cell(l, k) : cell(k, l); })), details: [] };
      }));
    made.moreColumns = total - inner.length;
    made.unit = meta.z || "";
    return made;
  }

  function side(values, n, scale, title) {
    var edges = values.length === n + 1, list = [];
    for (var i = 0; i < n; i++) { list.push(i); }
    return {
      places: list, title: title || scale.title,
      show: function (k) { return scale.show(values[k]) + (edges && scale.kind === "duration" ? " – " + scale.show(values[k + 1]) : ""); },
      middle: function (k) { return edges ? middle(values[k], values[k + 1]) : values[k]; },
    };
  }

  /* Where a range begins before the first data, and ends after the last, nothing is said line by line. */
  function trimmed(rows) {
    var full = rows.map(function (row) { return row.details.length > 0 || row.cells.slice(1).some(Boolean); });
    return rows.slice(Math.max(0, full.indexOf(true)), full.lastIndexOf(true) + 1);
  }

  function finish(columns, rows, trim) {
    if (trim) { rows = trimmed(rows); }
    var said = rows.map(function (row) { return row.details.filter(Boolean).join("; "); });
    var more = said.some(Boolean);
    var all = rows.map(function (row, i) {
      var cells = columns.map(function (_, k) { return row.cells[k] || { text: "" }; });
      return { cells: more ? cells.concat([{ text: said[i] }]) : cells };
    });
    return {
      columns: more ? columns.concat([{ title: "Details" }]) : columns,
      rows: all.slice(0, MOST_ROWS), more: Math.max(0, all.length - MOST_ROWS), moreColumns: 0, unit: "",
    };
  }

  fmd.chartTable = function (figure) {
    var data = figure.data || [], layout = figure.layout || {};
    var map = data.findIndex(function (trace) { return trace.type === "heatmap"; });
    if (map >= 0) { return heat(data[map], layout, map); }
    return data.some(function (trace) { return trace.type === "box"; }) ? boxes(data, layout) : series(data, layout);
  };
})();
