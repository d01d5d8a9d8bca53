import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';
import { checkout } from './packages.ts';
import type { Router } from './router.ts';
import { type UciRequest, UciStore } from './uci-store.ts';

/**
 * A router's web server as far as LuCI's page of the mediator sees it: uhttpd's files and ubus, rpcd with the package's
 * own plugin and access list, the page of a view, and applying of what is staged. LuCI's modules are the stand-in's, or
 * those of a router where ENTREMISE_LUCI names a copy of its /www.
 */

const modules = process.env.ENTREMISE_LUCI ?? join(checkout, 'testbed/openwrt/stand-in-luci');

const script = '/cgi-bin/luci';

/** Where the page is, as the package's menu says. */
const pagePath = 'admin/services/entremise';

const types: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.css': 'text/css' };

/** One half of an access list: who may only look has no `write`. */
interface Rights {
  readonly ubus?: Readonly<Record<string, readonly string[]>>;
  readonly uci?: readonly string[];
}

interface AccessList {
  readonly read: Rights;
  readonly write: Rights;
}

/** What luci-base grants everybody who logs in. */
const base: AccessList = {
  read: {
    ubus: { luci: ['getFeatures'], session: ['access'], uci: ['changes', 'get'] },
    uci: ['luci', 'system'],
  },
  write: { ubus: { uci: ['add', 'apply', 'confirm', 'delete', 'order', 'rename', 'set'] } },
};

/** Numbers of ubus and JSON-RPC. */
const ok = 0;
const invalidArgument = 2;
const methodNotFound = 3;
const accessDenied = { code: -32002, message: 'Access denied' };

interface RpcRequest {
  readonly id: unknown;
  readonly method: string;
  readonly params?: readonly [session: string, object: string, method: string, args?: object];
}

/** What is served besides the package itself. */
export interface WebOptions {
  readonly router: Router;
  /** True when the session may only look. */
  readonly readOnly?: boolean;
  /** Called when a changed configuration is in its place. */
  onConfigChange?(): void;
  /** Changes what the plugin answered, as a lying mediator would. */
  falsify?(answer: object): object;
}

/** The plugin's own account of its methods, and what it answers; as rpcd calls it. */
async function plugin(router: Router, words: readonly string[], input: string): Promise<object> {
  const env = { PATH: '/bin:/sbin:/usr/bin:/usr/sbin' };
  const child = spawn('chroot', [router.root, '/usr/libexec/rpcd/entremise', ...words], { env });
  // `list` does not read it.
  child.stdin.on('error', () => {}).end(`${input}\n`);
  return JSON.parse(await text(child.stdout)) as object;
}

const jsonTypes: Readonly<Record<string, string>> = { number: 'number', string: 'string' };

/** rpcd lets only arguments through that the plugin has said it takes. */
function areKnown(args: object, signature: object): boolean {
  const declared = new Map(Object.entries(signature).map(([name, example]) => [name, typeof example]));
  return Object.entries(args).every(([name, value]) => jsonTypes[typeof value] === declared.get(name));
}

class Rpcd {
  private readonly options: WebOptions;
  private readonly lists: readonly AccessList[];
  readonly uci: UciStore;

  constructor(options: WebOptions) {
    this.options = options;
    const own = options.router.read('usr/share/rpcd/acl.d/luci-app-entremise.json');
    this.lists = [base, ...Object.values(JSON.parse(own) as Record<string, AccessList>)];
    this.uci = new UciStore(options.router, 'etc/config/entremise');
  }

  private halves(needsWrite: boolean): Rights[] {
    if (needsWrite) return this.options.readOnly === true ? [] : this.lists.map(({ write }) => write);
    const read = this.lists.map(({ read }) => read);
    return [...read, ...this.halves(true)];
  }

  private mayCall(object: string, method: string): boolean {
    return this.halves(false).some(({ ubus = {} }) => ubus[object]?.includes(method));
  }

  private mayUse(config: string, method: string): boolean {
    return this.halves(method !== 'get').some(({ uci = [] }) => uci.includes(config));
  }

  private async entremise(method: string, args: object): Promise<readonly unknown[]> {
    const { router, falsify = answer => answer } = this.options;
    const methods = (await plugin(router, ['list'], '')) as Record<string, object>;
    const signature = methods[method];
    if (signature === undefined) return [methodNotFound];
    if (!areKnown(args, signature)) return [invalidArgument];
    return [ok, falsify(await plugin(router, ['call', method], JSON.stringify(args)))];
  }

  private async result(object: string, method: string, args: object): Promise<readonly unknown[]> {
    if (object === 'entremise') return this.entremise(method, args);
    if (object === 'session') return [ok, { access: true }];
    if (object === 'luci') return [ok, {}];
    const request = args as UciRequest;
    // LuCI looks into its own configuration, of which nothing is here.
    if (method === 'get' && request.config !== 'entremise') return [ok, { values: {} }];
    const answer = this.uci.call(method, request);
    return answer === undefined ? [methodNotFound] : [ok, answer];
  }

  async answer({ id, method: what, params }: RpcRequest): Promise<object> {
    if (what !== 'call' || params === undefined) return { jsonrpc: '2.0', id, result: [] };
    const [, object, method, args = {}] = params;
    const { config } = args as { config?: string };
    const allowed =
      this.mayCall(object, method) &&
      (object !== 'uci' || config === undefined || this.mayUse(config, method));
    if (!allowed) return { jsonrpc: '2.0', id, error: accessDenied };
    return { jsonrpc: '2.0', id, result: await this.result(object, method, args) };
  }
}

function pageFor(readOnly: boolean): string {
  const env = {
    scriptname: script,
    resource: '/luci-static/resources',
    media: '/luci-static/bootstrap',
    pathinfo: `/${pagePath}`,
    documentroot: '/www',
    requestpath: pagePath.split('/'),
    dispatchpath: pagePath.split('/'),
    pollinterval: 5,
    ubuspath: '/ubus/',
    sessionid: '0'.repeat(31).concat('1'),
    token: 'token',
    nodespec: { satisfied: true, readonly: readOnly },
    apply_rollback: 90,
    apply_holdoff: 0.1,
    apply_timeout: 5,
    apply_display: 0.1,
  };
  return `<!DOCTYPE html><meta charset="utf-8"><title>LuCI</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/luci-static/bootstrap/cascade.css">
<script src="/luci-static/resources/cbi.js"></script>
<ul id="topmenu"></ul><ul id="tabmenu"></ul><span id="indicators"></span>
<div id="maincontent"><div id="view"></div></div>
<script src="/luci-static/resources/luci.js"></script>
<script>
L = new LuCI(${JSON.stringify(env)});
L.require('ui').then(ui => ui.instantiateView('entremise'));
</script>`;
}

/** The package's files are the router's own, LuCI's are the modules'. */
function file(router: Router, path: string): string | undefined {
  return [join(router.root, 'www', path), join(modules, path)].find(candidate => existsSync(candidate));
}

/** Serves until the test is over; gives the address of the page. */
export async function serveLuci(t: ExecutionContext, options: WebOptions): Promise<string> {
  const { router, readOnly = false, onConfigChange = () => {} } = options;
  const rpcd = new Rpcd(options);

  async function post(path: string, request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    if (path.startsWith('/ubus/')) {
      const asked = (await json(request)) as RpcRequest | RpcRequest[];
      const answers = Promise.all([asked].flat().map(each => rpcd.answer(each)));
      return response.end(JSON.stringify(Array.isArray(asked) ? await answers : (await answers)[0]));
    }
    const [, action] = /^\/cgi-bin\/luci\/admin\/uci\/(\w+)/.exec(path) ?? [];
    if (action === 'confirm') return response.writeHead(204).end();
    if (action !== 'apply_rollback' || readOnly) return response.writeHead(403).end();
    rpcd.uci.commit();
    onConfigChange();
    return response.end(JSON.stringify({ token: 'confirm' }));
  }

  function get(path: string, response: ServerResponse): unknown {
    if (path === `${script}/${pagePath}`)
      return response.setHeader('content-type', 'text/html').end(pageFor(readOnly));
    const found = path.includes('..') ? undefined : file(router, path);
    if (found === undefined) return response.writeHead(404).end();
    const type = types[extname(found)] ?? 'application/octet-stream';
    return response.setHeader('content-type', type).end(readFileSync(found));
  }

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://router');
    const done = request.method === 'POST' ? post(pathname, request, response) : get(pathname, response);
    Promise.resolve(done).catch((thrown: unknown) => response.writeHead(500).end(String(thrown)));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}${script}/${pagePath}`;
}
