/* Cells of lists of requests. */
(function () {
  "use strict";
  var cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

  cells.FmdStatus = function (props) {
    var code = Number(props.value);
    return window.React.createElement("span", { className: "fmd-status s" + Math.floor(code / 100) }, String(code));
  };
})();
