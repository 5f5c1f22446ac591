/** Style of the sections that the report of a run does not have. */
export const COMPRESSION_STYLE = `
.layer{display:grid;grid-template-columns:minmax(150px,2fr) 3fr minmax(150px,1.4fr) 120px;gap:4px 18px;align-items:center;padding:8px 0;border-bottom:1px solid var(--grid);font-size:14px}
.layer.head{color:var(--soft);font-size:13px;border-bottom:1px solid var(--line)}
.layer.gone{opacity:.5}
.layer small{display:block;color:var(--soft);font-size:12.5px;overflow-wrap:anywhere}
.layer code{overflow-wrap:anywhere}
.layer>:nth-child(n+3){text-align:right;white-space:nowrap}
.works{display:grid;gap:3px}
.works i{display:block;height:8px;border-radius:4px;background:var(--pretrain);opacity:.45;min-width:1px}
.works i+i{background:var(--distil);opacity:1}
.canvas .limit{stroke:var(--no);stroke-width:1.6;stroke-dasharray:6 5}
tr.chosen{background:var(--mark)}
.sortable tbody th{white-space:normal;min-width:180px}
.finding{border-left:4px solid var(--soft);padding:2px 0 2px 14px;margin:0 0 16px;font-size:15px}
.finding.error{border-color:var(--no)}
.finding.warning{border-color:var(--sft)}
.finding p{margin:2px 0}
.finding .source{font-size:12.5px;color:var(--soft);overflow-wrap:anywhere}
.verdict-line{font-size:17px;margin:0 0 22px;max-width:46em}
@media screen and (max-width:760px){
  .layer{grid-template-columns:1fr auto}
  .layer .works{grid-column:1/-1;grid-row:2}
  .layer.head{display:none}
}
`;
