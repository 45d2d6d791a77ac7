/** The browser page and the guides in a real browser against the running service, as somebody would use them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, Page, Request } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INSERT_KEY, keyValues, mintKey } from '../../edge/keys/mint.ts';
import { guideNames } from '../../infra/site/guides.ts';
import { SCOPES } from '../../shared/contracts/scope.ts';
import { accessibilityFaults, chromiumPath, launchBrowser } from '../support/browser.ts';
import { repositoryRoot } from '../support/guide.ts';
import { until } from '../support/until.ts';
import * as shown from './support/shown-results.ts';
import { Stack } from './support/stack.ts';

const VIEWS = ['jobs', 'runs', 'deliveries', 'features', 'vectors', 'reports', 'fairness', 'ecg'];
const LIMIT_MS = 120_000;

describe.skipIf(!chromiumPath)(
  'in Chromium',
  () => {
    const stack = new Stack();
    let browser: Browser;
    beforeAll(async () => {
      await stack.start();
      browser = await launchBrowser();
    }, 240_000);
    afterAll(async () => {
      await browser?.close();
      await stack.stop();
    });

    /** A page with what it asked for and what it complained of. */
    async function newPage(width = 1280): Promise<{ page: Page; requests: Request[]; complaints: string[] }> {
      const page = await browser.newPage({ viewport: { width, height: 800 }, reducedMotion: 'reduce' });
      page.setDefaultTimeout(LIMIT_MS);
      const requests: Request[] = [];
      const complaints: string[] = [];
      page.on('request', (request) => requests.push(request));
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on(
        'console',
        (message) => message.type() === 'error' && complaints.push(`${message.text()} (${message.location().url})`),
      );
      return { page, requests, complaints };
    }
    const enter = async (page: Page, key = stack.key): Promise<void> => {
      await page.goto(`${stack.edge.url}/ui/`);
      await page.fill('#key', key);
      await page.keyboard.press('Enter');
    };
    /** Goes to a view and waits until it stands. */
    const look = async (page: Page, ...place: string[]): Promise<void> => {
      await page.evaluate(`location.hash = ${JSON.stringify(`#/${place.join('/')}`)}`);
      // asked through the debugger each time: the page's policy lets no expression be evaluated within it
      const stands = `document.querySelector('main').getAttribute('aria-busy') === null && ${place.length > 1} === (document.querySelector('nav [aria-current]')?.getAttribute('href') !== location.hash)`;
      await until(() => page.evaluate<boolean>(stands), `the view ${place.join('/')} stands`, LIMIT_MS);
    };
    const newKey = async (tenant: string): Promise<string> => {
      const { text, row } = await mintKey({ tenant, name: 'page', scopes: SCOPES, limits: {}, now: Date.now() });
      await stack.edge.execute(INSERT_KEY, keyValues(row));
      return text;
    };
    /** Answers some addresses with results that would take long to make; all else goes to the service. */
    const showing = async (page: Page): Promise<void> => {
      const answers: Record<string, (url: URL, body: unknown) => unknown> = {
        [`/v1/saes/${shown.sae.id}`]: () => shown.sae,
        '/v1/saes': () => ({ data: [shown.sae], next_cursor: null }),
        [`/v1/saes/${shown.sae.id}/latents`]: ({ searchParams }) => shown.latentPage(searchParams),
        [`/v1/vectors/${shown.vector.id}`]: () => shown.vector,
        [`/v1/reports/${shown.report.id}`]: () => shown.report,
        [`/v1/fairness/predictors/${shown.predictor.id}`]: () => shown.predictor,
        [`/v1/fairness/predictors/${shown.predictor.id}/predictions`]: (_, body) =>
          shown.predictionOf((body as { columns: { age: number[] } }).columns.age[0]!),
        [`/v1/jobs/${shown.denoising.id}`]: () => shown.denoising,
        [`/v1/jobs/${shown.denoising.id}/params`]: () => ({ note: shown.HOSTILE }),
      };
      const json = (value: unknown) => ({ contentType: 'application/json', body: JSON.stringify(value) });
      await page.route(
        (url) => url.pathname in answers || /\/latents\/\d+$/.test(url.pathname),
        (route) => {
          const url = new URL(route.request().url());
          const latent = /\/latents\/(\d+)$/.exec(url.pathname)?.[1];
          return route.fulfill(
            json(latent ? shown.latentOf(Number(latent)) : answers[url.pathname]!(url, route.request().postDataJSON())),
          );
        },
      );
      await page.route(
        (url) => url.pathname === `/v1/jobs/${shown.denoising.id}/events`,
        (route) => route.fulfill({ contentType: 'text/event-stream', body: shown.denoisingEvents }),
      );
      await page.route(
        (url) => url.pathname.startsWith('/v1/artefacts/'),
        (route) => {
          const { name, sha256 } = shown.denoising.artefacts.find(({ id }) => route.request().url().endsWith(id))!;
          const range = /bytes=(\d+)-(\d+)/.exec(route.request().headers().range ?? '');
          const whole = name === 'quality.json' ? shown.quality : shown.SVG;
          const body = range
            ? Buffer.from(shown.recordingRange(Number(range[1]), Number(range[2]) + 1))
            : Buffer.from(whole);
          const about = { 'content-length': String(body.length), etag: `"${sha256}"` };
          const part = range ? { 'content-range': `bytes ${range[1]}-${range[2]}/${shown.recordingBytes}` } : {};
          return route.fulfill({ status: range ? 206 : 200, headers: { ...about, ...part }, body });
        },
      );
    };
    const SINGLE = [
      ['features', shown.sae.id, '3'],
      ['vectors', shown.vector.id],
      ['reports', shown.report.id],
      ['fairness', shown.predictor.id],
      ['ecg', shown.denoising.id],
      ['jobs', shown.denoising.id],
    ];

    it('keeps the key in memory alone, within a policy that is never broken', async () => {
      const { page, requests, complaints } = await newPage();
      await enter(page);
      for (const view of VIEWS) {
        await look(page, view);
      }
      const kept = await page.evaluate(
        'JSON.stringify([localStorage, sessionStorage, document.cookie, history.state, location.href, document.documentElement.outerHTML, [...document.querySelectorAll("input")].map((i) => i.value)])',
      );
      expect(kept).not.toContain(stack.key);
      expect(await page.evaluate('indexedDB.databases().then((all) => all.length)')).toBe(0);
      expect(requests.filter((request) => request.url().includes(stack.key))).toEqual([]);
      expect(requests.map((request) => new URL(request.url()).origin)).toEqual(requests.map(() => stack.edge.url));
      await page.reload();
      await page.waitForSelector('#key');
      expect(complaints).toEqual([]);
      const answer = await fetch(`${stack.edge.url}/ui/`);
      expect(answer.headers.get('content-security-policy')).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
      expect(await answer.text()).not.toMatch(/<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=/);
      const script = readFileSync(join(repositoryRoot, 'edge/site/ui/app.js'));
      expect(gzipSync(script).length).toBeLessThan(60 * 1024);
      await page.close();
    });

    it('has nothing that axe-core finds, fits into 320 pixels, and keeps hostile texts texts, in every view', async () => {
      for (const width of [1280, 320]) {
        const { page, complaints } = await newPage(width);
        await showing(page);
        await page.goto(`${stack.edge.url}/ui/`);
        expect(await accessibilityFaults(page), 'key form').toEqual([]);
        await enter(page);
        await page.waitForSelector('nav');
        for (const place of [...VIEWS.map((view) => [view]), ...SINGLE]) {
          await look(page, ...place);
          await page.waitForTimeout(500);
          expect(await page.getByRole('alert').allTextContents(), `${place[0]} at ${width}`).toEqual([]);
          expect(await accessibilityFaults(page), `${place[0]} at ${width}`).toEqual([]);
          expect(await page.evaluate('document.documentElement.scrollWidth'), `${place[0]} at ${width}`).toBe(width);
          expect(await page.title()).not.toBe('owned');
          expect(await page.locator('main img:not([src^="blob:"]), main script').count()).toBe(0);
        }
        expect(complaints).toEqual([]);
        await page.close();
      }
    });

    it('scrolls 10,000 features and opens one with at most two requests, by keyboard', async () => {
      const { page, requests } = await newPage();
      await showing(page);
      await enter(page);
      await look(page, 'features', shown.sae.id);
      const list = page.getByRole('listbox');
      await list.focus();
      await page.keyboard.press('End');
      await page.getByText(String(shown.FEATURES - 1), { exact: true }).waitFor();
      expect(await page.getByRole('option').count()).toBeLessThan(100);
      const before = requests.length;
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: `Feature ${shown.FEATURES - 1}` }).waitFor();
      expect(requests.length - before).toBeLessThanOrEqual(2);
      expect(await page.getByText('Positive codes').count()).toBeGreaterThan(0);
      await page.close();
    });

    it('goes through a day of ECG without loading it', async () => {
      const { page, requests } = await newPage();
      await showing(page);
      await enter(page);
      await look(page, 'ecg', shown.denoising.id);
      await page.getByText('87 seconds').waitFor();
      for (const time of ['00:00:03', '00:16:43']) {
        await page.getByRole('button', { name: 'Flagged after' }).click();
        await page.getByText(`${time} to `).waitFor();
      }
      await page.getByText('00:16:43: flat, lead off').waitFor();
      await page.locator('#time').focus();
      await page.keyboard.press('End');
      await page.getByText(/23:59:59 to 24:00:00/).waitFor();
      const ranges = requests
        .map((request) => /bytes=(\d+)-(\d+)/.exec(request.headers().range ?? ''))
        .filter((range) => range !== null);
      const read = ranges.reduce((sum, [, from, to]) => sum + Number(to) - Number(from) + 1, 0);
      expect(ranges.length).toBeGreaterThan(4);
      expect(read).toBeLessThan(0.005 * shown.recordingBytes);
      await page.close();
    });

    it('asks what if: a slider moves, the score follows, beside the one before', async () => {
      const { page } = await newPage();
      await showing(page);
      await enter(page);
      await look(page, 'fairness', shown.predictor.id);
      await page.getByText('0.4', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Compare with this' }).click();
      await page.getByRole('slider').first().focus();
      await page.keyboard.press('End');
      await page.getByText('0.8, before 0.4 (+0.4)').waitFor();
      await page.close();
    });

    it('says what to do with no job, an offline service, a revoked key and a failed job', async () => {
      const key = await newKey('page-empty');
      const { page } = await newPage();
      await enter(page, key);
      await page.getByText('There are no jobs yet.').waitFor();
      await page.getByText('sextant run lm.train --param steps=100').waitFor();
      await page.context().setOffline(true);
      await page.evaluate('location.hash = "#/vectors"');
      await page.getByText('The service cannot be reached').waitFor();
      await page.context().setOffline(false);
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.getByText('There are no vectors yet.').waitFor();
      await page.getByRole('button', { name: 'Forget key' }).click();
      await page.fill('#key', `${key.slice(0, -4)}aaaa`);
      await page.keyboard.press('Enter');
      await page.getByText('The service does not accept this key').waitFor();
      await page.close();
    });

    it('follows a job of a worker to its end, and says what to do about one that fails', async () => {
      await stack.startWorker();
      const note = shown.HOSTILE.slice(0, 200);
      const failing = await stack.post({ steps: 9, step_ms: 1, fail_at: 4 }, { labels: { note } });
      const id = await stack.post({ steps: 40, step_ms: 50 });
      const { page } = await newPage();
      await enter(page);
      await page.getByText(note).waitFor();
      await look(page, 'jobs', id);
      await page.locator('dd .badge.succeeded').waitFor();
      await page
        .getByRole('button', { name: /^Save / })
        .first()
        .waitFor();
      await page.getByText('step_ms').waitFor();
      await stack.ended(failing);
      await look(page, 'jobs', failing);
      await page.getByText('It failed with').waitFor();
      await page.getByText('What the codes mean').waitFor();
      await page.close();
    });

    it('reads the guides without scripts and without a request to anywhere else, and draws the contract', async () => {
      const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 700 } });
      const page = await context.newPage();
      const elsewhere: string[] = [];
      page.on('request', (request) => request.url().startsWith(stack.edge.url) || elsewhere.push(request.url()));
      for (const name of guideNames()) {
        await page.goto(`${stack.edge.url}/docs/${name === 'start' ? '' : name}`);
        expect(await page.locator('main h1').textContent(), name).not.toBe('');
      }
      await context.close();
      const drawn = await newPage();
      await drawn.page.goto(`${stack.edge.url}/docs/contract`);
      await drawn.page.getByText('/v1/jobs/{id}/events').first().waitFor();
      const outside = drawn.requests.filter(
        (request) => !/^(data|blob):/.test(request.url()) && !request.url().startsWith(stack.edge.url),
      );
      expect([...elsewhere, ...outside.map((request) => request.url())]).toEqual([]);
      await drawn.page.close();
    });
  },
  600_000,
);
