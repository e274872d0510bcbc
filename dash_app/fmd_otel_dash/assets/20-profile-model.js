/* A profile in the browser: what the server sends as columns, with sums, positions, search and ways through it.
   No drawing here, and no document: flame graph, sunburst and tables all read this. */
(function () {
  "use strict";
  var fmd = (window.fmd = window.fmd || {});
  var NONE = -1;

  function hash(text) {
    var h = 2166136261;
    for (var i = 0; i < text.length; i++) { h = Math.imul(h ^ text.charCodeAt(i), 16777619); }
    return h >>> 0;
  }

  /* Columns to arrays; row 0 is a root over all. Callers stand before callees, so one pass back sums up. */
  function decode(payload) {
    var n = payload.depth.length + 1, i;
    var m = {
      kind: payload.kind, count: n, profiles: payload.n, profilesBefore: payload.nBefore, leftOut: payload.leftOut,
      title: payload.title || "all", frames: payload.frames, groups: payload.groups,
      depth: new Int32Array(n), frame: new Int32Array(n), parent: new Int32Array(n), end: new Int32Array(n),
      self: new Float64Array(n), total: new Float64Array(n), cpu: new Float64Array(n), start: new Float64Array(n),
      selfCpu: new Float64Array(n), hits: new Int32Array(n), before: new Float64Array(n), selfBefore: new Float64Array(n),
      maxDepth: 0,
    };
    m.nodeN = payload.kind === "grouped" ? [payload.n].concat(payload.nodeN) : null;
    m.sd = payload.sd ? [NONE].concat(payload.sd) : null;
    // What a frame is known by when newer data come: the way to it.
    var known = payload.frames.map(function (f) { return hash(f[0] + "\n" + f[1] + "\n" + f[2]); });
    m.way = new Int32Array(n);
    m.frame[0] = NONE;
    m.parent[0] = NONE;
    var above = [0];
    for (i = 1; i < n; i++) {
      var d = payload.depth[i - 1] + 1;
      m.depth[i] = d;
      m.maxDepth = Math.max(m.maxDepth, d);
      m.frame[i] = payload.frame[i - 1];
      m.parent[i] = above[d - 1];
      m.way[i] = Math.imul(m.way[m.parent[i]] ^ known[m.frame[i]], 16777619) + d | 0;
      above[d] = i;
      m.self[i] = m.total[i] = payload.self[i - 1];
      m.selfCpu[i] = m.cpu[i] = payload.cpu[i - 1];
      m.hits[i] = payload.hits[i - 1];
      m.selfBefore[i] = m.before[i] = payload.before ? payload.before[i - 1] : 0;
    }
    for (i = n - 1; i > 0; i--) {
      var p = m.parent[i];
      m.total[p] += m.total[i];
      m.cpu[p] += m.cpu[i];
      m.before[p] += m.before[i];
      m.end[i] = Math.max(m.end[i], i + 1);
      m.end[p] = Math.max(m.end[p], m.end[i]);
    }
    m.end[0] = n;
    var next = new Float64Array(n);
    for (i = 1; i < n; i++) {
      p = m.parent[i];
      m.start[i] = m.start[p] + next[p];
      next[p] += m.total[i];
    }
    return m;
  }

  function name(m, i) { return m.frame[i] < 0 ? m.title : m.frames[m.frame[i]][0]; }
  function file(m, i) { return m.frame[i] < 0 ? "" : m.frames[m.frame[i]][1]; }
  function line(m, i) { return m.frame[i] < 0 ? 0 : m.frames[m.frame[i]][2]; }
  function source(m, i) { return m.frame[i] < 0 ? "" : m.frames[m.frame[i]][3]; }
  function group(m, i) { return m.frame[i] < 0 ? "" : m.groups[m.frames[m.frame[i]][4]]; }
  function place(m, i) { return file(m, i) ? file(m, i) + (line(m, i) ? ":" + line(m, i) : "") : ""; }

  function children(m, i) {
    var found = [];
    for (var c = i + 1; c < m.end[i]; c = m.end[c]) { found.push(c); }
    return found;
  }

  function path(m, i) {
    var found = [];
    for (; i >= 0; i = m.parent[i]) { found.unshift(i); }
    return found;
  }

  /* The frame at the end of a way; the root if it is not there any more. */
  function find(m, way) {
    for (var i = 1; i < m.count; i++) { if (m.way[i] === way) { return i; } }
    return 0;
  }

  function within(m, i, ancestor) { return i >= ancestor && i < m.end[ancestor]; }

  /* The way down where most of the time went, as far as one callee has a good part of its caller's; of a
     difference, where it became slower. */
  function hottest(m, from) {
    var found = [], at = from || 0, slower = m.kind === "diff" && m.total[0] > m.before[0];
    function weight(i) { return slower ? m.total[i] - m.before[i] : m.total[i]; }
    for (;;) {
      var best = NONE;
      children(m, at).forEach(function (c) { if (best < 0 || weight(c) > weight(best)) { best = c; } });
      if (best < 0 || weight(best) < weight(at) * 0.3 || weight(best) <= weight(0) * 0.02) { return found; }
      found.push(best);
      at = best;
    }
  }

  /* Frames whose function, file or text contains the words; the share counts nested ones once. */
  function search(m, text) {
    var wanted = text.trim().toLowerCase();
    if (!wanted) { return null; }
    var frames = m.frames.map(function (f) {
      return (f[0] + " " + f[1] + ":" + f[2] + " " + f[3]).toLowerCase().indexOf(wanted) >= 0;
    });
    var hit = new Uint8Array(m.count), sum = 0, nodes = 0, covered = 0;
    for (var i = 1; i < m.count; i++) {
      if (!frames[m.frame[i]]) { continue; }
      hit[i] = 1;
      nodes++;
      if (i >= covered) { // not below another one
        sum += m.total[i];
        covered = m.end[i];
      }
    }
    return { text: text, hit: hit, nodes: nodes, us: sum, share: m.total[0] ? sum / m.total[0] : 0 };
  }

  /* Own time and time with callees of every function (or every line); recursion counts once. */
  function top(m, byLine) {
    var rows = {}, list = [], open = [];
    for (var i = 1; i < m.count; i++) {
      while (open.length && i >= open[open.length - 1].end) { open.pop().row.deep--; }
      var f = m.frames[m.frame[i]];
      var key = f[1] + "\n" + f[0] + (byLine ? "\n" + f[2] : "");
      var row = rows[key];
      if (!row) {
        row = rows[key] = { name: f[0], file: f[1], line: f[2], node: i, self: 0, total: 0, cpu: 0, hits: 0, before: 0,
          selfBefore: 0, group: m.groups[f[4]], deep: 0, widest: 0 };
        list.push(row);
      }
      row.self += m.self[i];
      row.selfBefore += m.selfBefore[i];
      row.cpu += m.selfCpu[i];
      row.hits += m.hits[i];
      if (!row.deep) { row.total += m.total[i]; row.before += m.before[i]; }
      if (m.total[i] > row.widest) { row.widest = m.total[i]; row.node = i; }
      if (m.end[i] > i + 1) { row.deep++; open.push({ row: row, end: m.end[i] }); }
    }
    return list;
  }

  /* The lines of a file that were seen, each with its own time and its time with callees. */
  function linesOf(m, wantedFile) {
    var rows = {}, list = [], open = [];
    for (var i = 1; i < m.count; i++) {
      while (open.length && i >= open[open.length - 1].end) { open.pop().row.deep--; }
      var f = m.frames[m.frame[i]];
      if (f[1] !== wantedFile) { continue; }
      var key = f[2] + "\n" + f[0];
      var row = rows[key];
      if (!row) {
        row = rows[key] = { line: f[2], name: f[0], source: f[3], self: 0, total: 0, cpu: 0, before: 0, deep: 0, node: i };
        list.push(row);
      }
      row.self += m.self[i];
      row.cpu += m.selfCpu[i];
      if (!row.deep) { row.total += m.total[i]; row.before += m.before[i]; }
      if (m.end[i] > i + 1) { row.deep++; open.push({ row: row, end: m.end[i] }); }
    }
    return list.sort(function (a, b) { return a.line - b.line; });
  }

  /* Of a difference: what took time before and is gone, the first of each branch. */
  function removed(m) {
    var found = [];
    for (var i = 1; i < m.count; i++) {
      if (m.before[i] > 0 && m.total[i] === 0) { found.push(i); i = m.end[i] - 1; }
    }
    return found.sort(function (a, b) { return m.before[b] - m.before[a]; });
  }

  /* Where a key leads from a frame; the widest callee, the caller, the neighbours. */
  function step(m, at, key) {
    var siblings, here;
    if (key === "Home") { return 0; }
    if (key === "ArrowUp") { return at > 0 ? m.parent[at] : 0; }
    if (key === "ArrowDown") {
      var below = children(m, at).filter(function (c) { return m.total[c] > 0; });
      return below.length ? below[0] : at;
    }
    if (at === 0) { return 0; }
    siblings = [];
    for (var i = 1; i < m.count; i++) { // neighbours may have other callers
      if (m.depth[i] === m.depth[at] && m.total[i] > 0) { siblings.push(i); }
    }
    here = siblings.indexOf(at) + (key === "ArrowLeft" ? -1 : 1);
    return siblings[Math.max(0, Math.min(siblings.length - 1, here))];
  }

  function duration(us) {
    var sign = us < 0 ? "−" : "", v = Math.abs(us);
    if (v < 1000) { return sign + Math.round(v) + " µs"; }
    if (v < 999500) { return sign + digits(v / 1000) + " ms"; }
    if (v < 60e6) { return sign + digits(v / 1e6) + " s"; }
    return sign + digits(v / 60e6) + " min";
  }

  function digits(v) { return v >= 99.95 ? Math.round(v).toLocaleString("en-US") : v >= 9.995 ? v.toFixed(1) : v.toFixed(2); }

  function percent(share) {
    var v = share * 100;
    return v === 0 ? "0 %" : v > 0 && v < 0.01 ? "< 0.01 %" : digits(v) + " %";
  }

  fmd.profile = { decode: decode, name: name, file: file, line: line, source: source, group: group, place: place,
    children: children, path: path, find: find, hash: hash, within: within, hottest: hottest, search: search, top: top, linesOf: linesOf,
    removed: removed, step: step, duration: duration, percent: percent };
})();
