import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { until } from 'netns-test-helpers';
import { devicePage, startEcho, startWebServer } from '../demo/device.ts';
import { cliCommand, mediatorName, serverAddress } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import {
  type ApiStage,
  ask,
  askerOf,
  bash,
  blocksOf,
  forbiddenHosts,
  json,
  setUpApi,
} from './support/api-stage.ts';
import { buildSecondLan, runSecondMediator } from './support/second-home.ts';
import { type Stage, setStage } from './support/stage.ts';
import { curl, failureOf, type Json, startVerb, untilForwards } from './support/verbs.ts';

/** The HTTP API on the service port, by the real curl, as docs/operations.md says; and what it refuses. */

const { device } = homeAddresses;
const operations = fileURLToPath(new URL('../../../docs/operations.md', import.meta.url));

const claim = setStage<ApiStage>({
  name: 'scapi',
  peers: async (home, folder) => {
    await startWebServer(home.device, join(folder, 'nginx'));
    await startEcho(home.device);
  },
  share: async stage => setUpApi(stage),
});

async function untilOnline(t: ExecutionContext, stage: Stage & ApiStage): Promise<void> {
  const { functions } = blocksOf(operations);
  const ask = `${functions} api "$SERVER/v1/mediators/home-1"`;
  await until(async () => /"online":true/.test((await bash(stage, ask)).stdout), {
    what: 'the API to see the mediator',
    deadlineMs: 20_000,
  });
  t.pass();
}

claim('every command of docs/operations.md does what it says, with curl alone', async (t, stage) => {
  await untilOnline(t, stage);
  const { functions, runs } = blocksOf(operations);
  t.true(runs.length >= 6);
  const marked = runs.map(({ body }, index) => `echo "@@${index}"; ${body}`).join('\n');
  const { code, stdout, stderr } = await bash(stage, `${functions}\n${marked}`);
  t.is(code, 0, `${stdout}\n${stderr}`);
  const answers = stdout.split(/@@\d+\n/).slice(1);
  const under = (title: string) =>
    answers.filter((_answer, index) => runs[index]?.heading.startsWith(title)).join('');
  t.true(under('Published ports').includes(devicePage), under('Published ports'));
  t.regex(under('Published ports'), /"declaredBy":"token [0-9a-f]{12}".*"state":"applied"/);
  t.regex(under('Published ports'), /"name":"voip".*"mediator":"home-1","state":"(refused|pending)"/);
  t.regex(under('Mediators'), /"name":"home-1"/);
  t.regex(under('Devices'), /"addresses":\["192\.168\.1\.10"/);
  t.regex(under('Labels'), /\[{"accepted":true},{"accepted":true}\]/);
  t.regex(under('Labels'), /{"label":"voip","mediators":1,"online":1}/);
  const made = under('Enrolment codes by');
  t.regex(made, /"code":"\w{6}(-\w{6}){8}".*"name":"new-4712","labels":\["voip"\]/);
  t.regex(made, /{"name":"new-4712","state":"pending"}\n$/);
  t.regex(under('Grants by'), /{"status":"valid","purpose":"assistance","mediators":\[{"name":"home-1"}\]}/);
  t.true(under('A page of a device').includes(devicePage), under('A page of a device'));
  t.regex(under('Ports'), /"state":"server"|"number":8123/);
  t.regex(under('One command'), /{"mediators":\["home-1"\]}/);
  t.regex(under('One command'), /{"results":\[{"mediator":"home-1","ok":true,"attempts":1,"value":/);
  t.regex(under('Events'), /event: datagram\ndata: .*"content":"aGVsbG8="/);
  t.regex(under('The audit'), /^{"lines":\[{"line":.*"verb":"connect"/);
  t.notRegex(stdout, /urn:entremise/);
  t.regex(under('Health'), /3\.1\.0\n\d+/);
});

claim('failures are problem details that say what to do', async (t, stage) => {
  const said = async (script: string, env = {}) => (await bash(stage, script, env)).stdout.split('\n');
  const [problem = '', status] = await said(ask('/v1/mediators'), { TOKEN: 'entremise_000000000000_x' });
  t.is(status, '401');
  t.like(JSON.parse(problem), { status: 401, title: 'Unauthorized' });
  t.is((await said(ask('/v1/nothing')))[1], '404');
  t.is((await said(ask('/v1/mediators/home-2')))[1], '404');
  const json = `-H 'Content-Type: application/json' -d`;
  t.is((await said(ask('/v1/attachments', `${json} '{"mediator": 5, "x": 1}'`)))[1], '400');
  t.is((await said(ask('/v1/attachments', `${json} '{'`)))[1], '400');
  const [, offline] = await said(ask('/v1/attachments', `${json} '{"mediator": "nobody"}'`));
  t.true(['403', '404'].includes(offline ?? ''), offline);
  const attached = JSON.parse(
    (await said(ask('/v1/attachments', `${json} '{"mediator": "${mediatorName}"}'`)))[0] ?? '',
  );
  const connections = `/v1/attachments/${attached.id}/connections`;
  const [refused = '', code] = await said(ask(connections, `${json} '{"host": "${device}", "port": 81}'`));
  t.is(code, '502');
  t.like(JSON.parse(refused), { type: 'urn:entremise:refused' });
  const [denied = ''] = await said(ask(connections, `${json} '{"host": "203.0.113.20", "port": 80}'`));
  t.like(JSON.parse(denied), { type: 'urn:entremise:not-permitted', status: 403 });
});

claim(
  'a token publishes within its grant alone, sees its own alone, and what it has published ends with it',
  async (t, stage) => {
    const { home, site } = stage;
    const narrow = ['--terminal', stage.apiKey, '--mediator', mediatorName, '--purpose', 'service'];
    const granted = await site.operator('grant', 'create', ...narrow, '--target', device, '--tcp', '80');
    const made = ['token', 'create', 'isp', '--grant', String(granted.id), '--scope', 'declare'];
    const { token, id } = await stage.server(...made);
    const asked = askerOf(stage, { TOKEN: String(token) });
    const publish = (to: string, port: number) => {
      const on = `${homeAddresses.server}:${port}`;
      const wish = { mediator: mediatorName, protocol: 'tcp', on, to, from: ['0.0.0.0/0'] };
      return asked('/v1/publications', json(wish));
    };
    const page = async () =>
      (await home.terminal.exec(['curl', '-sS', `http://${homeAddresses.server}:8090/`])).stdout;
    const beyond = await publish(`${homeAddresses.gatewayLan}:80`, 8091);
    t.is(beyond.status, '403');
    t.like(beyond.answer, { type: 'urn:entremise:not-permitted', by: 'grant' });
    t.regex(String(beyond.answer.detail), /targets\.networks would have to name 192\.168\.1\.1/);
    const dns = { at: 'lan:53', to: '203.0.113.20:53', labels: ['demo'] };
    const service = await asked('/v1/services/dns', `-X PUT ${json(dns)}`);
    t.is(service.status, '403');
    t.regex(String(service.answer.detail), /ports\.udp would have to contain 53/);
    t.like(await publish(`${device}:80`, 8090), { status: '201', answer: { state: 'applied' } });
    t.is(await page(), devicePage);
    const counted = async () => (await bash(stage, ask('/metrics'))).stdout;
    t.regex(await counted(), /^entremise_publications{state="applied"} 1$/m);
    const bytes = /^entremise_published_bytes_total{protocol="tcp",way="from-lan"} [1-9]\d*$/m;
    t.regex(await counted(), bytes);
    const mine = await asked('/v1/publications', '', { TOKEN: stage.env.TOKEN ?? '' });
    t.deepEqual(mine.answer.publications, []);
    await stage.server('token', 'revoke', String(id));
    await until(async () => (await page()) === '', { what: 'the port to be closed', deadlineMs: 10_000 });
    t.like(await asked('/v1/publications', '', { TOKEN: stage.env.TOKEN ?? '' }), {
      answer: { publications: [{ state: 'refused', code: 'not-permitted' }] },
    });
    t.regex(await counted(), bytes, 'what has ended still counts');
  },
);

claim('a POST that is sent again with its Idempotency-Key is done once', async (t, stage) => {
  const open = (number: number) =>
    `curl -sS -k -i -H "Authorization: Bearer $TOKEN" -H 'Idempotency-Key: a-1' -H 'Content-Type: application/json' \
      -d '{"protocol": "tcp", "address": "192.168.1.1", "number": ${number}}' "$SERVER/v1/attachments/$ID/ports"`;
  const made = `curl -sS -k -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{"mediator": "${mediatorName}"}' "$SERVER/v1/attachments"`;
  const { id } = JSON.parse((await bash(stage, made)).stdout) as Json;
  const env = { ID: String(id) };
  const [first, again] = [await bash(stage, open(8200), env), await bash(stage, open(8200), env)];
  t.regex(first.stdout, /^HTTP\/1\.1 201/);
  t.regex(again.stdout, /^HTTP\/1\.1 201[\s\S]*idempotency-replayed: true/i);
  t.is(again.stdout.split('\n').at(-1), first.stdout.split('\n').at(-1));
  t.regex((await bash(stage, open(8201), env)).stdout, /^HTTP\/1\.1 422/);
  const ports = await bash(stage, ask(`/v1/attachments/${String(id)}/ports`));
  t.is((JSON.parse(ports.stdout.split('\n')[0] ?? '') as { ports: unknown[] }).ports.length, 1);
});

claim(
  'a POST that has failed may be sent again with its Idempotency-Key, and is tried again',
  async (t, stage) => {
    const json = `-H 'Content-Type: application/json' -d`;
    const [made = ''] = (
      await bash(stage, ask('/v1/attachments', `${json} '{"mediator": "${mediatorName}"}'`))
    ).stdout.split('\n');
    const ports = `/v1/attachments/${(JSON.parse(made) as Json).id}/ports`;
    const wish = '{"protocol": "tcp", "address": "192.168.1.1", "number": 8300, "choice": "mandatory"}';
    const open = async (more = '') =>
      (await bash(stage, ask(ports, `${more} ${json} '${wish}'`))).stdout.split('\n');
    const [port = ''] = await open();
    const key = `-H 'Idempotency-Key: b-1'`;
    t.is((await open(key))[1], '409');
    await bash(stage, ask(`${ports}/${(JSON.parse(port) as Json).id}`, '-X DELETE'));
    t.is((await open(key))[1], '201');
    await bash(stage, ask(ports.replace('/ports', ''), '-X DELETE'));
  },
);

claim('a token sees what it has made and nobody else, and nothing once it is revoked', async (t, stage) => {
  const other = await stage.server('token', 'create', 'other', '--grant', '00000000');
  const list = async (env = {}) => (await bash(stage, ask('/v1/attachments'), env)).stdout.split('\n');
  const [mine = '', status] = await list();
  t.is(status, '200');
  t.is(JSON.parse(mine).attachments.length, 2);
  const [theirs = ''] = await list({ TOKEN: String(other.token) });
  t.deepEqual(JSON.parse(theirs).attachments, []);
  await stage.server('token', 'revoke', String(other.id));
  t.is((await list({ TOKEN: String(other.token) }))[1], '401');
});

claim(
  'a token reads the audit of its own grant, page by page; with the scope, all of it',
  async (t, stage) => {
    const mine = await stage.server('token', 'list');
    const { token } = await stage.server('token', 'create', 'auditor', '--scope', 'audit');
    const { token: nobody } = await stage.server('token', 'create', 'nobody');
    type Page = { readonly lines: readonly Json[]; readonly cursor?: number };
    const page = async (query: string, env = {}) =>
      JSON.parse((await bash(stage, ask(`/v1/audit?${query}`), env)).stdout.split('\n')[0] ?? '') as Page;
    const grant = (mine as unknown as Json[]).find(({ name }) => name === 'test')?.grant;
    const own = await page('limit=3');
    t.deepEqual(
      own.lines.map(line => line.grant),
      [grant, grant, grant],
    );
    const next = await page(`limit=3&cursor=${own.cursor}`);
    t.true(Number(next.lines[0]?.line) > Number(own.lines[2]?.line));
    t.deepEqual(await page('', { TOKEN: String(nobody) }), { lines: [] });
    const all = await page('action=trust', { TOKEN: String(token) });
    t.is(all.lines[0]?.action, 'trust');
  },
);

claim(
  'a job tells who has failed, tries those again, and ends what runs when it is cancelled',
  async (t, stage) => {
    const asked = askerOf(stage);
    const connect = (host: string, port: number) => ({
      command: { verb: 'connect', host, port },
      selection: { names: [mediatorName] },
      attempts: 1,
      timeoutMs: 60_000,
    });
    const over = async (id: unknown) =>
      until(async () => (await asked(`/v1/jobs/${id}`)).answer.state === 'done', {
        what: 'the job to be over',
        deadlineMs: 20_000,
      });
    const { answer: refused } = await asked('/v1/jobs', json(connect(device, 81)));
    await over(refused.id);
    const { answer: results } = await asked(`/v1/jobs/${refused.id}/results?failed=true`);
    t.like(results, { results: [{ mediator: mediatorName, ok: false, error: { code: 'refused' } }] });
    const { status, answer: again } = await asked(`/v1/jobs/${refused.id}/retry`, json({}));
    t.is(status, '201');
    t.like(again, { total: 1, retryOf: refused.id });
    await over(again.id);
    const { answer: slow } = await asked('/v1/jobs', json(connect('192.168.1.199', 80)));
    t.is((await asked(`/v1/jobs/${slow.id}/retry`, json({}))).status, '409');
    const { answer: cancelled } = await asked(`/v1/jobs/${slow.id}/cancel`, json({}));
    t.like(cancelled, { state: 'cancelled', total: 1, done: 0 });
    const { token } = await stage.server('token', 'create', 'nosy', '--grant', String(slow.id));
    t.is((await asked(`/v1/jobs/${slow.id}`, '', { TOKEN: String(token) })).status, '404');
  },
);

claim(
  'what the server signs as a delegate is worth its bounds, whatever it says, until it is taken back',
  async (t, stage) => {
    const asked = askerOf(stage);
    const wish = {
      terminal: stage.apiKey,
      mediators: [{ name: mediatorName }],
      purpose: 'service',
      targets: { networks: ['lan'], tcp: ['1-65535'] },
    };
    const { status, answer: grant } = await asked('/v1/grants', json(wish));
    t.is(status, '201');
    t.is((await asked('/v1/grants', json({ ...wish, mediators: [{}] }))).status, '422');
    const { token } = await stage.server('token', 'create', 'delegated', '--grant', String(grant.id));
    const env = { TOKEN: String(token) };
    t.is((await asked('/v1/grants', json(wish), env)).status, '403');
    const attach = () => asked('/v1/attachments', json({ mediator: mediatorName }), env);
    const { answer: attached } = await until(
      async () => {
        const made = await attach();
        return made.status === '201' ? made : undefined;
      },
      { what: 'the API to have its grant', deadlineMs: 5_000 },
    );
    const connections = `/v1/attachments/${attached.id}/connections`;
    t.is((await asked(connections, json({ host: device, port: 80 }), env)).status, '201');
    const beyond = await asked(connections, json({ host: device, port: 443 }), env);
    t.is(beyond.status, '403');
    t.regex(String(beyond.answer.detail), /delegate|delegates\.targets\.tcp/);
    const held = await stage.site.operator('grant', 'list', '--server-held');
    t.like((held.delegates as readonly Json[])[0], { name: 'api', mediators: [{ labels: ['demo'] }] });
    t.is((await asked(`/v1/grants/${grant.id}`, '-X DELETE')).status, '204');
    await until(async () => (await asked('/v1/attachments', '', env)).answer.attachments?.toString() === '', {
      what: 'what the grant allowed to end',
      deadlineMs: 5_000,
    });
    t.is((await attach()).status, '403');
  },
);

/** Everything that files below a directory hold. */
function contentOf(directory: string): string {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' }).map(path =>
    join(directory, path),
  );
  return paths
    .filter(path => statSync(path).isFile())
    .map(path => readFileSync(path, 'latin1'))
    .join('\n');
}

claim(
  'P6.5: a mediator enrols by a code that curl has made, is online, and a grant by its label leads to its LAN',
  async (t, stage) => {
    const { home, site } = stage;
    const asked = askerOf(stage);
    const second = await buildSecondLan(stage, 'the page of a new home');
    const wish = json({ name: 'new-7', labels: ['voip'], lifeS: 600 });
    const { status, answer: made } = await asked('/v1/enrolment-codes', `-H 'Idempotency-Key: c-1' ${wish}`);
    t.is(status, '201', JSON.stringify(made));
    t.deepEqual((await asked('/v1/enrolment-codes', `-H 'Idempotency-Key: c-1' ${wish}`)).answer, made);
    t.false(
      contentOf(join(site.directory, 'server')).includes(String(made.code)),
      'the code is kept nowhere',
    );
    await runSecondMediator(stage, second, String(made.code));
    const toPages = ['--label', 'voip', '--target', 'lan', '--tcp', '80'];
    await site.operator('grant', 'create', '--terminal', site.terminalKey, ...toPages);
    await home.terminal.run(cliCommand('mediators', '--wait', 'new-7'), { env: site.terminalEnv });
    const program = startVerb(t, stage, ['forward', 'new-7', `0:${device}:80`]);
    const [port] = await untilForwards(program, 1);
    t.is((await curl(home.terminal, `http://127.0.0.1:${port}/`)).body, 'the page of a new home');
    const { answer } = await asked('/v1/enrolment-codes');
    const [used] = (answer.codes as readonly Json[]).filter(({ id }) => id === made.id);
    t.like(used, { name: 'new-7', labels: ['voip'], state: 'used' });
    t.is((await asked(`/v1/enrolment-codes/${made.id}`, '-X DELETE')).status, '409');
    const again = await asked('/v1/enrolment-codes', wish);
    t.like(again, { status: '409', answer: { type: 'urn:entremise:name-taken', by: 'server' } });
  },
);

claim(
  'a code beyond the inviter, or without the scope, is refused as a problem that says why',
  async (t, stage) => {
    const asked = askerOf(stage);
    const make = (wish: object, env = {}) => asked('/v1/enrolment-codes', json(wish), env);
    const refusals: readonly (readonly [object, string, RegExp])[] = [
      [{ name: 'home-7' }, '422', /begins with "new-"/],
      [{ name: 'new-8', labels: ['voip', 'demo'] }, '422', /gives the label demo/],
      [{ name: 'new-8', lifeS: 3601 }, '422', /lives longer than the 3600 s/],
      [{ name: 'new 8' }, '422', /name must be/],
      [{ name: 'new-8', lifeS: 604_801 }, '400', /lifeS must be <= 604800/],
      [{ name: 'new-8', role: 'terminal' }, '400', /additional properties/],
    ];
    for (const [wish, status, detail] of refusals) {
      const refused = await make(wish);
      t.is(refused.status, status, JSON.stringify(wish));
      t.regex(String(refused.answer.detail), detail);
    }
    const { token } = await stage.server('token', 'create', 'no-enrol', '--scope', 'grants');
    const env = { TOKEN: String(token) };
    t.is((await make({ name: 'new-8' }, env)).status, '403');
    const { answer: code } = await make({ name: 'new-8' });
    const { token: other } = await stage.server('token', 'create', 'other-enrol', '--scope', 'enrol');
    const theirs = { TOKEN: String(other) };
    t.deepEqual((await asked('/v1/enrolment-codes', '', theirs)).answer, { codes: [] });
    t.is((await asked(`/v1/enrolment-codes/${code.id}`, '-X DELETE', theirs)).status, '404');
    t.is((await asked(`/v1/enrolment-codes/${code.id}`, '-X DELETE')).status, '204');
    const { answer } = await asked('/v1/enrolment-codes');
    t.like((answer.codes as readonly Json[])[0], { name: 'new-8', state: 'cancelled' });
    const tried = await stage.home.terminal.exec(
      cliCommand(
        'mediator',
        'enroll',
        '--server',
        serverAddress,
        '--state',
        join(stage.folder, 'late'),
        '--json',
      ),
      { env: { ENTREMISE_CODE: String(code.code) } },
    );
    t.is(failureOf(tried.stderr)?.code, 'code-invalid', tried.stderr);
  },
);

claim(
  'P6.2: labels of who came by the API are set by curl: a grant by label has the mediator, and has it no more',
  async (t, stage) => {
    const { home, site } = stage;
    const asked = askerOf(stage);
    const label = (name: string, labels: readonly string[], env = {}) =>
      asked(`/v1/mediators/${name}/labels`, `-X PUT ${json({ labels })}`, env);
    const program = startVerb(t, stage, ['forward', 'new-7', `0:${device}:80`]);
    await untilForwards(program, 1);
    t.like(await label('new-7', []), { status: '200', answer: { name: 'new-7', labels: [] } });
    await until(async () => !(await site.terminal('mediators', '--json')).stdout.includes('new-7'), {
      what: 'the terminal to know new-7 no more',
      deadlineMs: 10_000,
    });
    t.like(await label('new-7', ['voip']), { status: '200', answer: { labels: ['voip'] } });
    await home.terminal.run(cliCommand('mediators', '--wait', 'new-7'), { env: site.terminalEnv });
    const [port] = await untilForwards(startVerb(t, stage, ['forward', 'new-7', `0:${device}:80`]), 1);
    t.is((await curl(home.terminal, `http://127.0.0.1:${port}/`)).body, 'the page of a new home');
    t.is((await label('new-7', ['demo'])).status, '422');
    t.regex(String((await label(mediatorName, ['voip'])).answer.detail), /of home-1 is not by this key/);
    t.is((await label('new-8', [])).status, '404');
    const { token } = await stage.server('token', 'create', 'no-labels', '--scope', 'enrol');
    t.is((await label('new-7', [], { TOKEN: String(token) })).status, '403');
  },
);

claim(
  'a code is for the key by which the server is reached now: one from before a change of it is listed as refused',
  async (t, stage) => {
    const { site, home, folder } = stage;
    const asked = askerOf(stage);
    const make = async (name: string) => (await asked('/v1/enrolment-codes', json({ name }))).answer;
    const tellPins = ({ pin, sparePin }: Json) =>
      site.authority('trust', '--pin', String(pin), '--pin', String(sparePin), '--address', serverAddress);
    await make('new-5');
    await tellPins(await stage.server('next-key'));
    const rotated = await stage.server('rotate-key', '--leave-behind');
    await stage.reload(String(rotated.pin));
    await tellPins(rotated);
    const { code } = await make('new-6');
    const { answer } = await asked('/v1/enrolment-codes');
    t.like(answer.codes, [
      { name: 'new-6', state: 'pending' },
      { name: 'new-5', state: 'refused' },
    ]);
    const enrolling = ['enroll', '--server', serverAddress, '--state', join(folder, 'new-6')];
    await home.terminal.run(cliCommand('mediator', ...enrolling), { env: { ENTREMISE_CODE: String(code) } });
  },
);

claim(
  'P6.2: when the inviter is taken back the API makes no codes, and who came by it is online by the authority’s word',
  async (t, stage) => {
    const { home, site } = stage;
    const held = await site.operator('grant', 'list', '--server-held');
    t.like((held.inviters as readonly Json[])[0], { name: 'api', names: 'new-', labels: ['voip'] });
    const listed = (await site.authority('inviter', 'list')) as unknown as readonly Json[];
    t.like(listed, [{ name: 'api', names: 'new-', lifeS: 3600, members: ['new-6', 'new-7'] }]);
    const { signedAnew } = await site.authority('inviter', 'remove', 'api');
    t.deepEqual(signedAnew, ['new-6', 'new-7']);
    const asked = askerOf(stage);
    const refused = await until(
      async () => {
        const answer = await asked('/v1/enrolment-codes', json({ name: 'new-9' }));
        return answer.status === '409' ? answer : undefined;
      },
      { what: 'the API to hear of it', deadlineMs: 10_000 },
    );
    t.regex(String(refused.answer.detail), /may invite nobody/);
    await home.terminal.run(cliCommand('mediators', '--wait', 'new-7'), { env: site.terminalEnv });
    const program = startVerb(t, stage, ['forward', 'new-7', `0:${device}:80`]);
    const [port] = await untilForwards(program, 1);
    t.is((await curl(home.terminal, `http://127.0.0.1:${port}/`)).body, 'the page of a new home');
  },
);

claim(
  'no spelling of the gateway or its loopback is connected to, and nobody else’s things are found',
  async (t, stage) => {
    const json = `-H 'Content-Type: application/json' -d`;
    const [made = ''] = (
      await bash(stage, ask('/v1/attachments', `${json} '{"mediator": "${mediatorName}"}'`))
    ).stdout.split('\n');
    const { id } = JSON.parse(made) as Json;
    const tries = forbiddenHosts.map(host =>
      ask(`/v1/attachments/${id}/connections`, `-o /dev/null ${json} '{"host": "${host}", "port": 80}'`),
    );
    const { stdout } = await bash(stage, tries.join('; '));
    const outcomes = stdout.trim().split(/\s+/);
    t.is(outcomes.length, forbiddenHosts.length);
    for (const [index, status] of outcomes.entries())
      t.regex(status, /^(400|403|502)$/, forbiddenHosts[index]);
    const { token } = await stage.server('token', 'create', 'sweeper');
    const sweeps = ['', '/limits', '/events', '/ports/[0-60]', '/connections/[1-60]/output'].map(path =>
      ask(`/v1/attachments/${id}${path}`, `-o /dev/null ${path.startsWith('/ports') ? '-X DELETE' : ''}`),
    );
    const swept = await bash(stage, sweeps.join('; '), { TOKEN: String(token) });
    t.deepEqual([...new Set(swept.stdout.trim().split(/\s+/))], ['404']);
  },
);

claim('links and HTTP share the port: a technician works while the API is there', async (t, stage) => {
  startVerb(t, stage, ['mediators']);
  const { code } = await stage.site.terminal('mediators', '--json');
  t.is(code, 0);
});

claim(
  'a job that runs when the server is killed is told as interrupted by the next, and retry does what was not done',
  async (t, stage) => {
    const asked = askerOf(stage);
    const wish = {
      command: { verb: 'connect', host: '192.168.1.199', port: 80 },
      selection: { names: [mediatorName] },
      timeoutMs: 60_000,
    };
    const { answer: made } = await asked('/v1/jobs', json(wish));
    t.like(made, { state: 'running', total: 1 });
    await stage.restart();
    const { answer: told } = await asked(`/v1/jobs/${made.id}`);
    t.like(told, { state: 'interrupted', total: 1, done: 0, command: wish.command });
    await untilOnline(t, stage);
    const { status, answer: rest } = await asked(`/v1/jobs/${made.id}/retry`, '-X POST');
    t.is(status, '201');
    t.like(rest, { state: 'running', total: 1, retryOf: made.id });
    t.like(await asked(`/v1/jobs/${rest.id}/cancel`, '-X POST'), { answer: { state: 'cancelled' } });
  },
);
