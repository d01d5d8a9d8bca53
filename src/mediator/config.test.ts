import test, { type ExecutionContext } from 'ava';
import { Budget } from '../session/budget.ts';
import { parseMediatorConfig } from './config.ts';

function refused(t: ExecutionContext, text: string, message: RegExp): void {
  t.throws(() => parseMediatorConfig(text, 'mediator.toml'), { code: 'bad-config', message }, text);
}

test('one line is enough', t => {
  t.like(parseMediatorConfig('stateDir = "/etc/entremise"', 'x'), {
    stateDir: '/etc/entremise',
    servers: [],
    auditFile: '/etc/entremise/audit.jsonl',
    logLevel: 'info',
    proxy: undefined,
    keepaliveMs: undefined,
    maxHoldMs: 900_000,
    receiveBudgetBytes: 8 * 1024 * 1024,
    replayBudgetBytes: 6 * 1024 * 1024,
    services: [],
    owner: { lan: undefined, hide: [] },
  });
});

test('P3.3: the default budgets hold a thousand streams', t => {
  const { receiveBudgetBytes, replayBudgetBytes } = parseMediatorConfig('stateDir = "/x"', 'x');
  for (const bytes of [receiveBudgetBytes, replayBudgetBytes]) {
    const budget = new Budget(bytes);
    let streams = 0;
    while (budget.reserveInitial() > 0) streams++;
    t.true(streams >= 1000, `${streams} streams`);
  }
});

test('everything that can be said', t => {
  const text = `
stateDir = "/var/lib/entremise"
servers = ["server.example:443", "[2001:db8::5]:8443"]
auditFile = "/var/log/audit.jsonl"
logLevel = "debug"
proxy = "http://proxy.example"
keepaliveMs = 20000
maxHoldMs = 0
[memory]
receiveBytes = 4194304
replayBytes = 2097152
[[services]]
name = "voip"
parameters = { account = "x", realm = "y" }
[[services]]
name = "backup"
[owner]
lan = ["br-lan"]
hide = ["hostname"]
`;
  const config = parseMediatorConfig(text, 'x');
  t.like(config, {
    auditFile: '/var/log/audit.jsonl',
    logLevel: 'debug',
    proxy: { host: 'proxy.example', port: 8080, credentials: undefined },
    keepaliveMs: 20_000,
    maxHoldMs: 0,
    receiveBudgetBytes: 4_194_304,
    replayBudgetBytes: 2_097_152,
  });
  t.deepEqual(config.servers, [
    { host: 'server.example', number: 443 },
    { host: '2001:db8::5', number: 8443 },
  ]);
  t.deepEqual(config.services, [
    {
      name: 'voip',
      parameters: [
        { name: 'account', value: 'x' },
        { name: 'realm', value: 'y' },
      ],
    },
    { name: 'backup', parameters: [] },
  ]);
  t.deepEqual([config.owner.lan, config.owner.hide], [['br-lan'], ['hostname']]);
});

test('an error names the file, the key and what is allowed there', t => {
  const base = 'stateDir = "/x"\n';
  refused(t, '', /^mediator\.toml: stateDir is missing\.$/);
  refused(t, 'stateDir = 3', /mediator\.toml: stateDir must be text/);
  refused(t, `${base}logLevel = "loud"`, /logLevel must be one of: trace, debug, info/);
  refused(t, `${base}loglevel = "info"`, /loglevel is not known here/);
  refused(t, `${base}keepaliveMs = 100`, /keepaliveMs must be a whole number from 5000 to 240000/);
  refused(t, `${base}proxy = "socks://x"`, /proxy is wrong: .*http:\/\/proxy\.example:3128/);
  refused(t, `${base}servers = ["server.example"]`, /servers\[0\] is wrong: .*server\.example:8443/);
  refused(t, `${base}[memory]\nreceiveBytes = "8M"`, /memory\.receiveBytes must be a whole number/);
  refused(t, `${base}[[services]]\nname = ""`, /services\[0\]\.name must be text of 1 to 64 bytes/);
  refused(
    t,
    `${base}[[services]]\nname = "a"\nparameters = { x = 1 }`,
    /services\[0\]\.parameters\.x must be/,
  );
  refused(t, `${base}[owner]\nlan = "br-lan"`, /owner\.lan must be a list/);
  refused(t, `${base}[owner]\ndeny = ["everything"]`, /owner\.deny\[0\] .*names no address/);
});

test('what is no TOML is told with line and column', t => {
  refused(t, 'stateDir = "/x"\nservers = [', /^mediator\.toml: line 2, column \d+: /);
});
