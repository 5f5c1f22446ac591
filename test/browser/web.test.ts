/**
 * The web runtime in a real browser: bundled by vite, served with cross-origin isolation, run in headless Chromium.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PageResult } from './page.ts';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  ...['--headless', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync'],
  // a software adapter, so that WebGPU is there without a graphics card
  ...['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
];
const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};
/** [1, 1] through x · w + x once, and twice. */
const ONCE = [5, 7];
const TWICE = [5 + 21 + 5, 7 + 28 + 10];

type Provider = 'wasm' | 'webgpu';
interface PageGlobals {
  runInPage: (provider: Provider, threads: number) => Promise<PageResult>;
  hasWebGpu: () => Promise<boolean>;
}

function serve(folder: string): Promise<Server> {
  const server = createServer(async (request, response) => {
    const path = join(folder, new URL(request.url ?? '/', 'http://x').pathname);
    const body = await readFile(path).catch(() => undefined);
    response.writeHead(body ? 200 : 404, {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    });
    response.end(body);
  });
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)));
}

const missing = existsSync(CHROMIUM) ? '' : ` (skipped: no ${CHROMIUM})`;

describe.skipIf(missing)(`in Chromium${missing}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'gaslaw-browser-'));
  let server: Server;
  let browser: Browser;

  async function open(): Promise<Page> {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/index.html`);
    await page.waitForFunction(() => 'runInPage' in globalThis);
    return page;
  }
  const run = (page: Page, provider: Provider, threads: number): Promise<PageResult> =>
    page.evaluate(([p, t]) => (globalThis as unknown as PageGlobals).runInPage(p, t), [
      provider,
      threads,
    ] as const);

  beforeAll(async () => {
    await build({
      root: import.meta.dirname,
      base: './',
      logLevel: 'error',
      build: { outDir: folder, emptyOutDir: true, target: 'esnext', minify: false },
    });
    server = await serve(folder);
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('WebAssembly, on one thread', async () => {
    const page = await open();
    expect(await run(page, 'wasm', 1)).toEqual({ called: ONCE, bound: ONCE, updated: TWICE });
  });

  test('WebAssembly, on two threads', async () => {
    const page = await open();
    expect(await run(page, 'wasm', 2)).toEqual({ called: ONCE, bound: ONCE, updated: TWICE });
  });

  test('WebGPU, where the browser has an adapter', async context => {
    const page = await open();
    const present = await page.evaluate(() => (globalThis as unknown as PageGlobals).hasWebGpu());
    context.skip(!present, 'no WebGPU adapter');
    expect(await run(page, 'webgpu', 1)).toEqual({ called: ONCE, bound: ONCE, updated: TWICE });
  });
});
