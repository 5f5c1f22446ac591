/**
 * The page's style.
 *
 * 1. Colours are after Okabe and Ito, made darker on light ground and lighter on dark ground; a kind of stage has one
 *    colour everywhere, and a shape or a word beside it, so nothing depends on colour alone.
 * 2. Fonts are the reader's own. Below 760 px the diagram is vertical and tables become cards.
 */
const COLOURS = `
:root{--paper:#fbfaf7;--card:#fff;--ink:#1e1d1b;--soft:#5f5b54;--line:#e5e1d8;--grid:#ece8e0;--pretrain:#6a7078;--rl:#0068a8;--sft:#b65200;--distil:#00785a;--export:#96437c;--yes:#00785a;--no:#b8401c;--mark:#fff1c9;--shade:0 1px 2px #2018100d,0 4px 16px #2018100a}
@media (prefers-color-scheme:dark){
  :root{--paper:#131416;--card:#1b1d20;--ink:#ebe8e2;--soft:#a7a299;--line:#303338;--grid:#292c31;--pretrain:#a3abb5;--rl:#5fb4ec;--sft:#eda14a;--distil:#3fcb9f;--export:#e29bca;--yes:#3fcb9f;--no:#ff8b6a;--mark:#4a3d13;--shade:none}
}
.pretrain{--c:var(--pretrain)}
.rl{--c:var(--rl)}
.sft{--c:var(--sft)}
.distil{--c:var(--distil)}
.export{--c:var(--export)}
`;

const PAGE = `
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,Inter,"Noto Sans","Noto Sans CJK SC",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1160px;margin:0 auto;padding:56px 20px 72px}
h1,h2{font-family:"Iowan Old Style","Palatino Linotype",Palatino,"Source Serif 4",Charter,Georgia,"Liberation Serif",serif;font-weight:600;line-height:1.2;letter-spacing:-.012em;text-wrap:balance}
h1{font-size:clamp(27px,4.1vw,46px);margin:10px 0 20px;max-width:24em}
h2{font-size:clamp(24px,2.6vw,32px);margin:0 0 10px}
h3{font-size:16px;margin:0 0 8px}
h4{margin:0}
p{margin:0 0 12px}
section{margin-top:76px;scroll-margin-top:56px}
.kicker{color:var(--soft);font-size:14px;margin:0}
.lead{max-width:46em;color:var(--soft);font-size:17px;margin-bottom:24px}
.lead em{color:var(--ink);font-style:normal;font-weight:600}
.note{color:var(--soft);font-size:13px}
code,pre{font-family:ui-monospace,"SF Mono","Cascadia Code",Menlo,Consolas,"Liberation Mono","Noto Sans Mono CJK SC",monospace;font-size:.9em}
nav{position:sticky;top:0;z-index:5;display:flex;gap:4px 22px;flex-wrap:wrap;margin:36px -20px 0;padding:11px 20px;background:var(--paper);border-bottom:1px solid var(--line);font-size:15px}
nav a{color:var(--soft);text-decoration:none}
nav a:hover{color:var(--ink)}
:focus-visible{outline:2px solid var(--rl);outline-offset:2px;border-radius:4px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:16px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:18px 20px;box-shadow:var(--shade);display:flex;flex-direction:column;gap:4px}
.tile .label{font-size:13px;color:var(--soft)}
.tile>strong{font-size:clamp(26px,2.7vw,36px);white-space:nowrap;line-height:1.15;font-weight:650;letter-spacing:-.025em;margin:auto 0}
.ladder{grid-column:span 2}
.ladder ol{list-style:none;margin:8px 0 0;padding:0;display:grid;gap:7px}
.ladder strong{white-space:nowrap}
.ladder li{display:grid;grid-template-columns:84px 76px 1fr 76px;align-items:center;gap:8px}
.ladder strong{font-size:18px;font-weight:650;text-align:right}
.ladder .note:last-child{text-align:right}
.bar{height:9px;border-radius:5px;background:var(--grid);overflow:hidden}
.bar i{display:block;height:100%;border-radius:5px;background:var(--rl)}
.ladder li:first-child .bar i{background:var(--pretrain)}
`;

const DIAGRAM = `
.diagram svg{display:block;width:100%;height:auto;overflow:visible;font-family:inherit}
.diagram.narrow{display:none}
.card{fill:var(--card);stroke:var(--line)}
.box:hover .card,.box:focus .card{stroke:var(--c);stroke-width:1.5}
.box{cursor:pointer;outline:none}
.edge,.fill{fill:var(--c)}
.track{fill:var(--grid)}
.band{fill:var(--c);opacity:.33}
.box text{fill:var(--soft);font-size:12px}
.box .strong{fill:var(--ink)}
.box .title{fill:var(--ink);font-size:13.5px;font-weight:650}
.box .big{fill:var(--ink);font-size:25px;font-weight:650;letter-spacing:-.02em}
.box .end{text-anchor:end}
.arrow{fill:none;stroke:var(--soft);stroke-width:1.6}
.arrow.answers{stroke-dasharray:5 4}
.head{fill:var(--soft)}
.legend{display:flex;flex-wrap:wrap;gap:6px 20px;margin:22px 0 28px;font-size:14px;color:var(--soft)}
.key{display:inline-flex;align-items:center;gap:7px}
.key i{width:11px;height:11px;border-radius:3px;background:var(--c)}
.line{width:26px;height:8px}
.stages{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:16px}
.stage{border-top:3px solid var(--c);padding:14px 0 6px;scroll-margin-top:64px;font-size:15px}
.stage:target{background:linear-gradient(var(--mark),transparent 70%)}
.stage h3{display:flex;align-items:baseline;gap:9px;flex-wrap:wrap}
.stage h3 code{color:var(--soft);font-weight:400;font-size:12.5px}
.num{color:var(--c);font-weight:700}
.stage p{color:var(--soft)}
.stage p strong{color:var(--ink);font-weight:500}
dl{margin:0}
.stage dl{display:grid;grid-template-columns:1fr 1fr;gap:2px 20px;font-size:13px}
.stage dl div{display:flex;justify-content:space-between;gap:8px;border-bottom:1px solid var(--grid);padding:2px 0}
dt{color:var(--soft)}
dd{margin:0;text-align:right}
.stage ul{margin:10px 0 0;padding-left:18px;font-size:13px;color:var(--soft)}
`;

const CHARTS = `
.row{margin:26px 0 34px}
.row h3{display:flex;align-items:baseline;gap:10px;border-left:4px solid var(--c,var(--soft));padding-left:10px}
.at{color:var(--soft);font-weight:400;font-size:13px}
.multiples{align-items:end;display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:18px 22px}
.multiples.small{grid-template-columns:repeat(auto-fill,minmax(210px,1fr))}
.chart{margin:0;min-width:0}
.chart figcaption{display:flex;justify-content:space-between;align-items:baseline;gap:8px;font-size:13.5px;margin-bottom:8px}
.chart .name{color:var(--soft);min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.chart .name[data-tip]{text-decoration:underline dotted var(--line) 2px;text-underline-offset:4px;cursor:help}
.chart output{font-weight:650;white-space:nowrap}
.plot{position:relative;touch-action:pan-y}
.canvas{position:absolute;inset:4px 8px 20px var(--left)}
.canvas>svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible}
.canvas path{fill:none;vector-effect:non-scaling-stroke;stroke-linecap:round;stroke-linejoin:round}
.canvas .grid{stroke:var(--grid);stroke-width:1}
.canvas .area{fill:var(--c);opacity:.09}
.canvas .raw{stroke:var(--c);stroke-width:1;opacity:.42}
.canvas .mean{stroke:var(--c);stroke-width:2.1}
.canvas .dots{stroke:var(--ink);stroke-width:6}
.yt,.xt{position:absolute;font-size:11px;line-height:1;color:var(--soft);white-space:nowrap}
.yt{right:100%;margin-right:7px;transform:translateY(-50%)}
.xt{top:100%;margin-top:7px;transform:translateX(-50%)}
.cursor{position:absolute;top:0;bottom:0;width:1px;background:var(--ink);opacity:0;pointer-events:none}
.more{margin-top:30px;border-top:1px solid var(--line);padding-top:14px}
.more summary{cursor:pointer;font-weight:600}
.scatters{display:grid;grid-template-columns:1fr 1fr;gap:36px 36px;margin-bottom:40px}
.scatter .plot{overflow-x:clip}
.scatters:has(>:only-child){grid-template-columns:minmax(0,1fr)}
.scatter .plot .canvas{bottom:44px;right:14px}
.scatter .name{color:var(--ink);font-weight:600;font-size:15px}
.xtitle{position:absolute;bottom:0;left:var(--left);right:14px;text-align:center;font-size:12.5px;line-height:1.2;color:var(--soft)}
.canvas .front{stroke:var(--soft);stroke-width:1.6;stroke-dasharray:1 5}
.canvas .whisker{stroke:var(--c);stroke-width:1.5;opacity:.55}
.pt{position:absolute;width:0;height:0}
.pt i{position:absolute;left:-6px;top:-6px;width:12px;height:12px;border-radius:50%;background:var(--c);border:2px solid var(--paper)}
.pt.sft i,.pt.pretrain i{border-radius:2px}
.pt.distil i,.pt.export i{border-radius:2px;transform:rotate(45deg) scale(.88)}
.pt.pretrain i,.pt.export i{background:var(--paper);border:2.5px solid var(--c)}
.lab{position:absolute;width:0;height:0;pointer-events:none}
.lab.narrow{display:none}
.lab b{text-shadow:0 0 2px var(--paper),0 0 2px var(--paper),0 0 3px var(--paper),0 0 4px var(--paper);position:absolute;font-size:11.5px;font-weight:400;line-height:1;white-space:nowrap;transform:translateY(-50%);color:var(--soft)}
.lab.best b{color:var(--ink);font-weight:650}
.lab .right{left:10px}
.lab .left{right:10px}
.pt:hover{z-index:2}
.leader{position:absolute;overflow:visible;width:1px;height:1px;left:0;top:0}
.canvas .leader path{stroke:var(--soft);stroke-width:1;opacity:.5}
`;

const TEXT = `
.think{color:var(--soft)}
.answer{background:var(--mark);border-radius:4px;padding:1px 5px;font-weight:650;color:var(--ink)}
.yes{color:var(--yes)}
.no{color:var(--no)}
.problem{border-top:1px solid var(--line)}
.problem:last-child{border-bottom:1px solid var(--line)}
.problem summary{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 14px;padding:13px 2px;cursor:pointer;list-style:none}
.problem summary::-webkit-details-marker{display:none}
.problem summary::before{content:"+";width:12px;color:var(--soft);font-weight:600}
.problem[open] summary::before{content:"–"}
.problem summary code{font-size:17px;font-weight:650}
.marks{margin-left:auto;display:flex;gap:5px;font-size:14px}
.marks i,.try i{font-style:normal;font-weight:700}
.answers{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:14px;padding:4px 0 24px}
.response{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--c);border-radius:10px;padding:12px 14px;display:flex;flex-direction:column;min-width:0}
.response h4{display:flex;justify-content:space-between;gap:10px;font-size:14px}
.verdict{font-size:13px;white-space:nowrap}
.response p{font-family:ui-monospace,"SF Mono","Cascadia Code",Menlo,Consolas,"Liberation Mono","Noto Sans Mono CJK SC",monospace;font-size:13px;line-height:1.6;margin:8px 0;white-space:pre-wrap;overflow-wrap:anywhere;max-height:15em;overflow:auto;flex:1}
.try{display:inline-block;max-width:100%;margin-right:9px}
.response .note{font-size:12px}
.pair{grid-template-columns:1fr 1fr;padding-bottom:14px}
.begun{color:var(--soft)}
.pictures{display:flex;flex-wrap:wrap;gap:12px;margin:10px 0 30px}
.pictures figure{margin:0;width:72px}
.pictures img{display:block;width:72px;height:72px;object-fit:contain;image-rendering:pixelated;border:1px solid var(--line);border-radius:8px;background:#000}
.pictures figcaption{font-size:13px;line-height:1.3;margin-top:4px;overflow-wrap:anywhere}
.confusion{width:auto}
.confusion th,.confusion td{text-align:center;padding:6px 9px;min-width:36px}
.confusion .right{background:color-mix(in srgb,var(--yes) calc(var(--s)*34%),transparent)}
.confusion .wrong{background:color-mix(in srgb,var(--no) calc(12% + var(--s)*60%),transparent)}
.scroll{overflow-x:auto;background:linear-gradient(90deg,var(--paper) 30%,transparent) 0 0/40px 100% no-repeat local,linear-gradient(-90deg,var(--paper) 30%,transparent) 100% 0/40px 100% no-repeat local,linear-gradient(90deg,var(--line),transparent) 0 0/14px 100% no-repeat,linear-gradient(-90deg,var(--line),transparent) 100% 0/14px 100% no-repeat}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:8px 10px;border-bottom:1px solid var(--grid);text-align:right;white-space:nowrap}
th{font-weight:500}
th:first-child{text-align:left}
thead th{border-bottom:1px solid var(--line);vertical-align:bottom}
th button{all:unset;cursor:pointer;color:var(--soft);font-size:13px;white-space:normal}
th button:hover{color:var(--ink)}
th button:focus-visible{outline:2px solid var(--rl)}
th[aria-sort] button{color:var(--ink);font-weight:650}
th[aria-sort=descending] button::after{content:" ↓"}
th[aria-sort=ascending] button::after{content:" ↑"}
.swatch{display:inline-block;width:10px;height:10px;border-radius:3px;background:var(--c);margin-right:9px}
table+.note{margin-top:10px}
.forest-row{display:grid;grid-template-columns:210px 1fr 92px;gap:18px;align-items:center;padding:9px 0;border-bottom:1px solid var(--grid);font-size:15px}
.forest-row small{display:block;color:var(--soft);font-size:12.5px}
.forest-row>:last-child{text-align:right}
.lane{position:relative;height:22px;background:linear-gradient(90deg,var(--grid) 1px,transparent 1px) 0 0/25% 100%;border-right:1px solid var(--grid)}
.interval{position:absolute;top:7px;height:8px;border-radius:4px;background:var(--c);opacity:.35}
.value{position:absolute;top:4px;width:14px;height:14px;margin-left:-7px;border-radius:50%;background:var(--c);border:2px solid var(--paper)}
.axis{border:0;padding-top:0}
.axis .lane{background:none;border:0}
.axis i{position:absolute;transform:translateX(-50%);font-style:normal;font-size:11px;color:var(--soft);white-space:nowrap}
.glossary{columns:2;column-gap:44px}
.glossary div{break-inside:avoid;margin-bottom:14px}
.glossary dt{color:var(--ink);font-weight:650}
.glossary dd{text-align:left;color:var(--soft);font-size:15px}
pre{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px 18px;overflow-x:auto;font-size:14px;line-height:1.8;white-space:pre-wrap;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:6px 28px;font-size:14px;margin:18px 0}
.facts div{display:flex;justify-content:space-between;gap:14px;border-bottom:1px solid var(--grid);padding:4px 0}
#tip{position:absolute;z-index:9;left:0;top:0;max-width:min(330px,calc(100vw - 16px));background:var(--ink);color:var(--paper);font-size:13.5px;line-height:1.45;padding:9px 13px;border-radius:9px;pointer-events:none}
#tip[hidden]{display:none}
`;

const NARROW = `
@media screen and (max-width:1020px){
  .figures{grid-template-columns:1fr 1fr}
  .ladder{grid-column:1/-1}
  .figures:not(:has(.ladder)) .tile:last-child:nth-child(odd){grid-column:1/-1}
  .tile>strong{font-size:32px}
  .multiples{grid-template-columns:repeat(2,minmax(0,1fr))}
  .scatters{grid-template-columns:minmax(0,1fr)}
  .diagram.wide{display:none}
  .diagram.narrow{display:block;max-width:460px;margin:0 auto}
}
@media screen and (max-width:760px){
  main{padding:30px 16px 48px}
  section{margin-top:56px;scroll-margin-top:72px}
  .stage{scroll-margin-top:80px}
  .lead{font-size:16px}
  nav{margin:28px -16px 0;padding:9px 16px;font-size:14px;gap:2px 18px}
  .figures{grid-template-columns:1fr 1fr;gap:12px}
  .ladder{grid-column:1/-1}
  .ladder li{grid-template-columns:80px 66px 1fr}
  .tile>strong{font-size:24px;white-space:nowrap;margin:2px 0}
  .tile{padding:13px 13px}
  .ladder li .note:last-child{display:none}
  .stages{grid-template-columns:1fr}
  .multiples{gap:18px 14px}
  .multiples.small{grid-template-columns:repeat(2,minmax(0,1fr))}
  .lab.narrow{display:block}
  .lab.wide{display:none}
  .canvas{right:6px}
  .chart figcaption{align-items:flex-end}
  .chart .name{white-space:normal;line-height:1.25}
  .answers{grid-template-columns:minmax(0,1fr)}
  .marks{margin-left:26px;width:100%}
  .glossary{columns:1}
  .sortable,.sortable tbody,.sortable tr,.sortable td,.sortable tbody th{display:block}
  .sortable thead tr{display:flex;flex-wrap:wrap;align-items:center;gap:7px;margin-bottom:14px}
  .sortable thead tr::before{content:"Sort by";color:var(--soft);font-size:13px}
  .sortable thead th{border:1px solid var(--line);border-radius:99px;padding:4px 12px}
  .sortable tbody tr{display:grid;grid-template-columns:1fr 1fr;gap:0 20px;border-top:1px solid var(--line);padding:12px 0}
  .sortable tbody th{grid-column:1/-1;border:0;padding:0 0 4px;font-weight:650;font-size:15px}
  .sortable td{display:flex;justify-content:space-between;gap:10px;padding:3px 0;font-size:13px}
  .sortable td::before{content:attr(data-title);color:var(--soft);white-space:normal;text-align:left}
  .forest-row{grid-template-columns:1fr auto;gap:4px 12px}
  .forest-row .lane{grid-column:1/-1;grid-row:2;margin:0 8px}
}
@media print{
  :root{--paper:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--grid:#e6e6e6;--pretrain:#6a7078;--rl:#0068a8;--sft:#b65200;--distil:#00785a;--export:#96437c;--yes:#00785a;--no:#b8401c;--mark:#fff1c9;--shade:none}
  body{font-size:11pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}
  main{padding:0;max-width:none}
  nav,#tip{display:none}
  .chart .name{white-space:normal}
  .chart figcaption{align-items:flex-end}
  section{margin-top:30px}
  .chart,.response,.stage,.tile,.diagram,tr,.forest-row{break-inside:avoid}
  h2,h3{break-after:avoid}
  .response p{max-height:none}
  .diagram.narrow{display:none}
  .diagram.wide{display:block}
  .lab.narrow{display:block}
  .lab.wide{display:none}
  .sortable{font-size:8pt}
  .sortable th,.sortable td{padding:4px 5px}
  th button{font-size:8pt}
  .stages{grid-template-columns:1fr 1fr}
  .figures{grid-template-columns:2fr 1fr 1fr}
  .ladder{grid-column:auto}
  .tile>strong{font-size:17pt}
  .ladder li{grid-template-columns:70px 62px 1fr}
  .ladder li .note:last-child{display:none}
  .tile{padding:12px}
}
@media (prefers-reduced-motion:reduce){
  html{scroll-behavior:auto}
}
`;

export const STYLE = [COLOURS, PAGE, DIAGRAM, CHARTS, TEXT, NARROW].join('');
