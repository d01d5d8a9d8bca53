import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { until } from 'netns-test-helpers';
import { type Browser, chromium, type Page } from 'playwright-core';
import { deferred } from '../../src/base/deferred.ts';
import { generateSigningKey } from '../../src/base/keys.ts';
import type { MediatorStatus } from '../../src/mediator/control/status.ts';
import { makeOperator, type Operator } from '../../src/mediator/testing/operator.ts';
import type { ServerDouble } from '../../src/mediator/testing/server-double.ts';
import { playing } from '../../src/mediator/testing/set-up.ts';
import { TestTerminal } from '../../src/mediator/testing/test-terminal.ts';
import type { AcceptedGrant } from '../../src/policy/grant.ts';
import { serveLuci, type WebOptions } from './luci-web.ts';
import { folderOfFile, type MadePackages, makePackages } from './packages.ts';
import { noServiceBecause, Service } from './procd.ts';
import { noRouterBecause, Router } from './router.ts';

/**
 * LuCI's page of the mediator in a browser. Package, rpcd plugin, init script and mediator are the real ones, in the
 * chroot of router.ts; LuCI's modules are stand-in-luci's unless ENTREMISE_LUCI names a router's own.
 */

const executablePath = '/usr/bin/chromium';

const words = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Made once. */
let made: MadePackages | undefined;
let browser: Browser | undefined;
const folder = folderOfFile();
test.after.always(() => browser?.close());

function noPageBecause(t: ExecutionContext): string | undefined {
  return existsSync(executablePath)
    ? (noRouterBecause(t) ?? noServiceBecause())
    : 'chromium is not installed';
}

const config = (enabled: '0' | '1') => `
config mediator 'main'
	option enabled '${enabled}'

config owner 'all'
	option consent 'window'
	list network 'loopback'
	list tcp '1-65535'
	list port_address 'loopback'
	list port_tcp '1024-65535'
`;

/** A router with both packages. */
function routerWith(t: ExecutionContext, text: string): Router {
  made ??= makePackages(folder, ['--arch', 'x86_64']);
  const router = new Router(t);
  for (const { ipk } of [...made.packages, made.page].flatMap(each => each ?? [])) router.install(ipk);
  router.write('etc/config/entremise', text);
  return router;
}

/** The page, loaded; errors in it fail the test. */
async function opened(t: ExecutionContext, options: WebOptions): Promise<Page> {
  browser ??= await chromium.launch({ executablePath, args: words });
  const context = await browser.newContext();
  t.teardown(() => context.close());
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', error => errors.push(error.stack ?? error.message));
  t.teardown(() => {
    if (errors.length > 0) throw new Error(`in the page: ${errors.join('\n')}`);
  });
  await page.clock.install();
  await page.goto(await serveLuci(t, options));
  await page.locator('#entremise-state > *').first().waitFor();
  return page;
}

/** An enrolled mediator that runs on a router, its server in the test's hands, and the page. */
async function running(t: ExecutionContext) {
  const router = routerWith(t, config('1'));
  const operator = await makeOperator(t);
  cpSync(operator.stateDir, join(router.root, 'etc/entremise/mediator'), { recursive: true });
  const service = new Service(t, router);
  t.teardown(() => {
    if (!t.passed) t.log(router.read('tmp/service.log'));
  });
  service.start();
  const server = await operator.online();
  const page = await opened(t, { router, onConfigChange: () => service.onConfigChange() });
  return { router, operator, server, service, page };
}

async function terminalOf(operator: Operator, server: ServerDouble): Promise<TestTerminal> {
  const key = generateSigningKey();
  const text = await operator.grant(key, {
    jti: 'grant-one',
    purpose: 'assistance',
    commands: ['open', 'connect', 'close'],
    targets: { networks: ['loopback'], tcp: ['1-65535'] },
    ports: { addresses: ['loopback'], tcp: ['1024-65535'] },
  });
  const grant = { text } as AcceptedGrant;
  const { mediatorKey } = operator;
  return TestTerminal.attach({ server, mediatorKey, grant: () => grant }, { key, grant });
}

/** Waits until the page says so. */
async function seen(page: Page, text: string | RegExp): Promise<void> {
  const state = page.locator('#entremise-state');
  try {
    await state.getByText(text).first().waitFor();
  } catch (cause) {
    throw new Error(`${text} is not seen, but: ${await state.textContent()}`, { cause });
  }
}

test.serial(
  'the owner sees the state, allows for 30 minutes, sees who is here and what was reached, and stops it',
  async t => {
    const reason = noPageBecause(t);
    if (reason !== undefined) return void t.pass(reason);
    const { router, operator, server, page } = await running(t);
    await seen(page, /^connected with 127\.0\.0\.1:\d+ since /);
    await seen(page, /^entremise \d/);
    await seen(page, 'Nobody is here.');
    await t.throwsAsync(terminalOf(operator, server), { code: 'consent-required' });

    await page.getByText('Allow for 30 minutes').click();
    await seen(page, /^allowed until /);
    const answer = JSON.parse(
      router.sh('echo {} | /usr/libexec/rpcd/entremise call status'),
    ) as MediatorStatus;
    const leftMs = Date.parse(answer.consent.assistance.openUntil ?? '') - Date.now();
    t.true(leftMs > 29 * 60_000 && leftMs <= 30 * 60_000, `${leftMs}`);

    const terminal = await terminalOf(operator, server);
    const echo = await playing(t, socket => socket.pipe(socket));
    await terminal.connected(echo.number);
    // What the page asks for by itself, without waiting for it.
    await page.clock.fastForward(20_000);
    await seen(page, terminal.key.text);
    await seen(page, `tcp 127.0.0.1:${echo.number}`);
    await seen(page, 'assistance, grant-one');
    await seen(page, 'terminal attached');

    const stoppedAt = deferred<number>();
    void terminal.gone.promise.then(() => stoppedAt.resolve(Date.now()));
    const clickedAt = Date.now();
    await page.getByText('Stop all access').click();
    t.true((await stoppedAt.promise) - clickedAt < 1000);
    await seen(page, 'All access is stopped until something is allowed again.');
    await seen(page, 'Nobody is here.');
  },
);

const markup = '<img src=x onerror="window.ran = true"><script>window.ran = true</script>';

/** Every text of it, of whoever it may come from. */
const hostile: MediatorStatus = {
  version: markup,
  name: markup,
  link: { online: true, since: markup, server: markup, reason: markup },
  configuration: { path: markup, problem: markup },
  missingCapabilities: ['CAP_NET_RAW', markup],
  stopped: false,
  consent: {
    assistance: { allowed: true, consent: 'window', openUntil: markup },
    service: { allowed: true, consent: 'always', hours: { allowed: [markup], now: false } },
  },
  attached: [
    {
      terminal: markup,
      grant: markup,
      purpose: 'assistance',
      since: markup,
      away: true,
      ports: [{ port: 1, protocol: 'tcp', address: markup, number: 80, state: 'opened', streams: 0 }],
      targets: [markup, markup],
    },
  ],
  recent: [{ time: markup, what: markup, details: { reason: markup, [markup]: 1 } }],
};

for (const [what, online] of Object.entries({ online: true, offline: false }))
  test.serial(
    `a terminal named ${markup.slice(0, 20)}… and any other text is shown as text and runs nothing: ${what}`,
    async t => {
      const reason = noPageBecause(t);
      if (reason !== undefined) return void t.pass(reason);
      const status = { ...hostile, link: { ...hostile.link, online } };
      const page = await opened(t, { router: routerWith(t, config('1')), falsify: () => status });
      const shown = await page.locator('#entremise-state').textContent();
      t.is((shown?.split(markup).length ?? 0) - 1, 18, 'all but its path, and server or reason');
      t.is(await page.locator('#entremise-state').locator('img, script').count(), 0);
      t.is(await page.evaluate('window.ran'), undefined);
      await seen(page, 'Packets cannot be watched: events come from sockets only.');
    },
  );

test.serial('an error of the mediator is shown as text, and nothing else changes', async t => {
  const reason = noPageBecause(t);
  if (reason !== undefined) return void t.pass(reason);
  let answer: object = hostile;
  const page = await opened(t, { router: routerWith(t, config('1')), falsify: () => answer });
  answer = { error: { code: 'x', message: markup } };
  await page.getByText('Allow for 30 minutes').click();
  await page.locator('.alert-message.danger').getByText(markup).waitFor();
  t.is(await page.evaluate('window.ran'), undefined);
  await seen(page, 'Who is here');
});

test.serial('a mediator that is down is said to be, and why; so is one that is switched off', async t => {
  const reason = noPageBecause(t);
  if (reason !== undefined) return void t.pass(reason);
  const { service, page } = await running(t);
  await service.stop();
  await page.clock.fastForward(20_000);
  await seen(
    page,
    /The mediator does not answer\. No mediator answers at \/var\/run\/entremise\/control\.sock/,
  );
  const off = await opened(t, { router: routerWith(t, config('0')) });
  await seen(off, /switched off/);
  t.pass('what is waited for is what is claimed');
});

/** The input of an option, as SECTION.OPTION. */
const widgetOf = (page: Page, place: string) => page.locator(`[id="widget.cbid.entremise.${place}"]`);

/** Adds a line to an option that is a list. */
async function addLine(page: Page, place: string, text: string): Promise<void> {
  const input = page.locator(`[id="cbid.entremise.${place}"]`).locator('input').last();
  await input.fill(text);
  await input.press('Enter');
}

/** "Save & Apply", until the page is there again. */
async function apply(page: Page): Promise<void> {
  let loaded = false;
  page.once('load', () => {
    loaded = true;
  });
  await page.getByText('Save & Apply', { exact: true }).click();
  const passASecond = async () => {
    // The page waits a second behind the last answer; when that has come is not seen from here.
    await page.clock.fastForward(1000).catch(() => {});
    return loaded;
  };
  await until(passASecond, { what: 'the page to load anew', deadlineMs: 60_000 });
}

test.serial(
  'services, limits of the program and what one purpose alone may are had from the form',
  async t => {
    const reason = noPageBecause(t);
    if (reason !== undefined) return void t.pass(reason);
    const router = routerWith(t, config('0'));
    const page = await opened(t, { router });
    // Each button draws the form anew.
    const add = async (title: string) => {
      const section = page.getByText(title, { exact: true }).locator('..');
      await section.getByText('Add', { exact: true }).click();
      await section.locator('input').first().waitFor();
    };
    await add('Wanted services');
    await add('Only for services');
    await widgetOf(page, 'main.max_hold_ms').fill('60000');
    const [nameId = ''] = await page
      .locator('[id^="widget.cbid.entremise."][id$=".name"]')
      .evaluateAll(found => found.map(({ id }) => id));
    const service = nameId.split('.')[3] ?? '';
    await widgetOf(page, `${service}.name`).fill('voip');
    await addLine(page, `${service}.parameter`, 'account=4711');
    await widgetOf(page, 'service.consent').selectOption('always');
    await addLine(page, 'service.tcp', '80');
    await addLine(page, 'service.hours', 'mon-fri 08:00-18:00');
    await apply(page);
    const text = router.read('etc/config/entremise');
    t.regex(text, /option max_hold_ms '60000'/);
    t.regex(text, /config service\n\toption name 'voip'\n\tlist parameter 'account=4711'/);
    t.regex(text, /config owner 'service'\n\toption consent 'always'/);
    t.is(router.sh('entremise-mediator check-config'), '/etc/config/entremise is good\n');
  },
);

test.serial(
  'what is wrong in the form is said as the program says it, and what was good stays; the right value is taken',
  async t => {
    const reason = noPageBecause(t);
    if (reason !== undefined) return void t.pass(reason);
    const { router, page } = await running(t);
    const widget = (place: string) => widgetOf(page, place);
    await widget('main.proxy').fill(markup);
    await apply(page);
    await seen(page, /The configuration is not taken.*config\.uci: proxy is wrong/);
    t.true(router.read('etc/config/entremise').includes(`option proxy '${markup}'`));
    t.is(await page.evaluate('window.ran'), undefined);
    await seen(page, /^connected with/);

    await widget('main.proxy').fill('');
    await addLine(page, 'all.hide', 'hostname');
    await apply(page);
    await seen(page, /^connected with/);
    const taken = async () => {
      // What the page shows is asked for every some seconds, and up to two seconds old then.
      await page.clock.fastForward(20_000);
      return (await page.getByText('The configuration is not taken').count()) === 0;
    };
    await until(taken, { what: 'the page to say no more that it is not taken', deadlineMs: 60_000 });
    const text = router.read('etc/config/entremise');
    t.regex(text, /\tlist hide 'hostname'/);
    t.notRegex(text, /proxy/);
    for (const line of config('1').split('\n').filter(Boolean))
      t.true(
        text.includes(line.replace("mediator 'main'", "'mediator' 'main'")) || text.includes(line),
        line,
      );
  },
);

test.serial('who may only look can do nothing: neither by the page nor past it', async t => {
  const reason = noPageBecause(t);
  if (reason !== undefined) return void t.pass(reason);
  const page = await opened(t, { router: routerWith(t, config('1')), readOnly: true });
  for (const name of ['Allow for 30 minutes', 'Stop all access'])
    t.true(await page.getByText(name).isDisabled());
  const refused = (object: string, method: string, args: object) =>
    page.evaluate(
      `fetch('/ubus/', { method: 'POST', body: ${JSON.stringify(
        JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'call', params: ['', object, method, args] }),
      )} }).then(answer => answer.json()).then(({ error }) => error?.message)`,
    );
  t.is(await refused('entremise', 'allow', { minutes: 30 }), 'Access denied');
  t.is(await refused('entremise', 'revoke', {}), 'Access denied');
  t.is(await refused('uci', 'set', { config: 'entremise', section: 'main', values: {} }), 'Access denied');
  t.is(await refused('uci', 'get', { config: 'network' }), 'Access denied');
  t.is(await refused('uci', 'get', { config: 'entremise' }), undefined);
});
