/* What is known of one frame: its times, and the lines of its file with heat beside them and a way into an editor. */
(function () {
  "use strict";
  var fmd = window.fmd;
  var P = fmd.profile, el = fmd.profileTable.el, bar = fmd.profileTable.bar;
  var MOST = 400;
  function fact(list, title, value, hint) {
    var term = el("dt", "", title), said = el("dd", "", value);
    if (hint) { said.title = hint; }
    list.appendChild(term);
    list.appendChild(said);
  }

  function Source(explorer, host) {
    var self = { wanted: -1 };
    host.className = "fmd-detail";
    host.setAttribute("aria-label", "The selected code");

    function facts(m, i) {
      var list = el("dl", "fmd-frame-facts"), all = m.total[0] || 1;
      if (m.kind === "diff") {
        fact(list, "Before", P.duration(m.before[i]));
        fact(list, "After", P.duration(m.total[i]));
        fact(list, "Change", (m.total[i] > m.before[i] ? "+" : "") + P.duration(m.total[i] - m.before[i]));
        fact(list, "Own, before", P.duration(m.selfBefore[i]));
        fact(list, "Own, after", P.duration(m.self[i]));
        return list;
      }
      if (m.kind === "grouped") {
        fact(list, "Average", P.duration(m.total[i] / (m.nodeN[i] || 1)), "With all that it calls, over the profiles it occurs in");
        fact(list, "Std. dev.", m.sd[i] < 0 ? "–" : P.duration(m.sd[i]), m.sd[i] < 0 ? "Not known for lines that were put together" : "");
        fact(list, "In profiles", m.nodeN[i].toLocaleString("en-US") + " of " + m.profiles.toLocaleString("en-US"));
      }
      fact(list, "Total", P.duration(m.total[i]) + " · " + P.percent(m.total[i] / all), "With all that it calls");
      fact(list, "Own time", P.duration(m.self[i]) + " · " + P.percent(m.self[i] / all), "Without what it calls");
      fact(list, "On the CPU", P.duration(m.cpu[i]));
      fact(list, "Waiting", P.duration(m.total[i] - m.cpu[i]));
      fact(list, "Samples", m.hits[i].toLocaleString("en-US"), "How often it was seen at the end of the stack");
      return list;
    }

    function lines(m, i) {
      var file = P.file(m, i), box = el("div", "fmd-heat-lines"), all = P.linesOf(m, file), last = null, current = null;
      var most = all.reduce(function (top, row) { return Math.max(top, row.self); }, 0) || 1;
      if (all.length > MOST) { all = all.filter(function (row) { return row.name === P.name(m, i); }).slice(0, MOST); }
      all.forEach(function (row) {
        if (!row.line) { return; }
        if (last === null || last.name !== row.name) { box.appendChild(el("div", "fmd-heat-name", row.name)); }
        else if (row.line > last.line + 1) { box.appendChild(el("div", "fmd-heat-gap", "⋯")); }
        var made = el("button", "fmd-heat-line");
        made.type = "button";
        made.style.setProperty("--heat", Math.round(Math.sqrt(row.self / most) * 100) / 100);
        made.appendChild(el("span", "fmd-heat-time", row.self ? P.duration(row.self) : ""));
        made.appendChild(bar(row.total / (m.total[0] || 1)));
        made.appendChild(el("span", "fmd-heat-number", row.line));
        made.appendChild(el("code", "", row.source || row.name));
        made.title = row.source + "\n" + row.name + ": own time " + P.duration(row.self) + ", with callees " + P.duration(row.total);
        if (row.line === P.line(m, i) && row.name === P.name(m, i)) { made.setAttribute("aria-current", "true"); current = made; }
        made.addEventListener("click", function () { explorer.select(row.node); });
        box.appendChild(made);
        last = row;
      });
      return { box: box, current: current };
    }

    self.show = function (i) {
      var m = explorer.model;
      host.textContent = "";
      if (!m || i < 0) { return; }
      var head = el("div", "fmd-detail-head");
      head.appendChild(el("h3", "", P.name(m, i)));
      host.appendChild(head);
      if (P.place(m, i)) {
        var where = el("div", "fmd-detail-place"), link = "";
        where.appendChild(el("code", "", P.place(m, i)));
        if (P.group(m, i) === "your code") {
          link = fmd.editor.link(P.file(m, i), P.line(m, i), explorer.editor);
          if (link) {
            var open = el("a", "fmd-open-editor", "Open in editor");
            open.href = link;
            open.target = "_self";
            where.appendChild(open);
          }
        } else { where.appendChild(el("span", "fmd-faint", P.group(m, i))); }
        var copy = el("button", "fmd-link-button fmd-copy", "Copy");
        copy.type = "button";
        copy.dataset.copy = P.place(m, i);
        where.appendChild(copy);
        host.appendChild(where);
      }
      host.appendChild(facts(m, i));
      if (P.file(m, i)) {
        var made = lines(m, i);
        host.appendChild(made.box);
        if (made.current) { made.box.scrollTop = Math.max(0, made.current.offsetTop - made.box.offsetTop - 60); }
        if (P.group(m, i) === "your code") {
          host.appendChild(fmd.editor.choice(explorer.editor, function () { self.show(explorer.selected); }));
        }
      }
    };
    return self;
  }

  fmd.profileSource = { Source: Source };
})();
