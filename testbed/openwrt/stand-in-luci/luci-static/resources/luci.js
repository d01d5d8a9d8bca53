// A stand-in of LuCI's modules: see ../../README.md. The form is in cbi.js.
(() => {
  const _ = text => text;
  const isNode = value => value instanceof Node;

  String.prototype.format = function (...values) {
    return this.replace(/%[sd]/g, kind => {
      const value = values.shift();
      return kind === '%d' ? Math.trunc(Number(value)) : `${value}`;
    });
  };

  const dom = {
    append(node, children) {
      if (Array.isArray(children)) {
        for (const child of children)
          if (isNode(child)) node.appendChild(child);
          else if (child !== null && child !== undefined)
            node.appendChild(document.createTextNode(`${child}`));
      } else if (isNode(children)) node.appendChild(children);
      else if (children !== null && children !== undefined) node.innerHTML = `${children}`;
      return node.lastChild;
    },
    content(node, children) {
      node.replaceChildren();
      return dom.append(node, children);
    },
    create(tag, ...rest) {
      if (Array.isArray(tag)) return dom.append(document.createDocumentFragment(), tag)?.parentNode;
      const hasAttributes =
        rest.length > 0 && rest[0]?.constructor === Object && !isNode(rest[0]) && !Array.isArray(rest[0]);
      const [attributes, children] = hasAttributes ? rest : [{}, rest[0]];
      const node = document.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === 'function') node.addEventListener(name, value);
        else if (value !== null && value !== undefined) node.setAttribute(name, value);
      }
      dom.append(node, children);
      return node;
    },
  };
  const E = dom.create;

  /** `extend` as LuCI's own classes have it; `__init__` is the constructor. */
  function extended(Parent, properties) {
    const Derived = class extends Parent {};
    Object.assign(Derived.prototype, properties);
    Derived.extend = more => extended(Derived, more);
    return Derived;
  }
  class Base {
    constructor(...args) {
      this.__init__?.(...args);
    }
  }
  Base.extend = properties => extended(Base, properties);

  let nextId = 1;
  async function call(object, method, params) {
    const request = {
      jsonrpc: '2.0',
      id: nextId++,
      method: 'call',
      params: [L.env.sessionid, object, method, params],
    };
    const answer = await fetch(L.env.ubuspath, { method: 'POST', body: JSON.stringify(request) });
    if (!answer.ok)
      throw new Error(`RPC call to ${object}/${method} failed with HTTP error ${answer.status}`);
    const { error, result } = await answer.json();
    if (error !== undefined) throw new Error(`RPC call to ${object}/${method} failed: ${error.message}`);
    return result.length > 1 ? result[1] : result[0];
  }

  const rpc = {
    declare({ object, method, params = [], expect }) {
      return async (...values) => {
        const given = Object.fromEntries(params.map((name, at) => [name, values[at]]));
        const answer = await call(object, method, given);
        const wanted = expect?.[''];
        return wanted !== undefined && (typeof answer !== 'object' || answer === null) ? wanted : answer;
      };
    },
  };

  const poll = {
    tasks: [],
    add(task, seconds) {
      poll.tasks.push(task);
      setInterval(() => Promise.resolve(task()), seconds * 1000);
    },
  };

  const uci = {
    values: {},
    staged: [],
    async load(config) {
      uci.values[config] ??= (await call('uci', 'get', { config })).values;
    },
    get: (config, section, option) =>
      option === undefined ? uci.values[config]?.[section] : uci.values[config]?.[section]?.[option],
    set(config, section, option, value) {
      uci.values[config][section][option] = value;
      uci.staged.push(['set', { config, section, values: { [option]: value } }]);
    },
    unset(config, section, option) {
      delete uci.values[config][section][option];
      uci.staged.push(['delete', { config, section, options: [option] }]);
    },
    sections: (config, type) =>
      Object.values(uci.values[config] ?? {})
        .filter(section => section['.type'] === type)
        .sort((a, b) => a['.index'] - b['.index']),
    // Without a name the router gives one.
    add(config, type, name) {
      if (name !== undefined) uci.values[config][name] = { '.type': type, '.name': name };
      uci.staged.push(['add', { config, type, name, values: {} }]);
    },
    remove(config, section) {
      delete uci.values[config][section];
      uci.staged.push(['delete', { config, section }]);
    },
    async save() {
      for (const [method, params] of uci.staged.splice(0)) await call('uci', method, params);
    },
  };

  const form = window.standInForm({ _, E, dom, uci });

  const ui = {
    createHandlerFn(context, method, ...bound) {
      const handler = typeof method === 'string' ? context[method] : method;
      return event => {
        const button = event.currentTarget;
        button.disabled = true;
        return Promise.resolve(handler.call(context, ...bound, event)).finally(() => {
          button.disabled = false;
        });
      };
    },
    addNotification(_title, children, kind = 'info') {
      const note = E('div', { class: `alert-message ${kind}` }, [E('div'), E('div')]);
      dom.append(note.lastChild, children);
      document.getElementById('maincontent').prepend(note);
    },
    async instantiateView(path) {
      await L.require(`view.${path.replaceAll('/', '.')}`);
    },
    async apply() {
      const applied = await fetch(L.url('admin/uci/apply_rollback'), { method: 'POST' });
      if (!applied.ok) throw new Error(`applying failed with HTTP error ${applied.status}`);
      await fetch(L.url('admin/uci/confirm'), { method: 'POST' });
      window.location.reload();
    },
  };

  const view = Base.extend({
    async __init__() {
      const place = document.getElementById('view');
      dom.content(place, await this.render(await this.load()));
      dom.append(place, this.addFooter());
    },
    load() {},
    handleSave: () => Promise.all(form.Map.all.map(map => map.save())),
    handleSaveApply() {
      return this.handleSave().then(() => ui.apply());
    },
    addFooter() {
      const disabled = L.hasViewPermission() ? null : '';
      const button = (title, method) =>
        E('button', { click: ui.createHandlerFn(this, method), disabled }, [title]);
      return E('div', [button(_('Save & Apply'), 'handleSaveApply'), button(_('Save'), 'handleSave')]);
    },
  });

  const modules = { baseclass: Base, dom, form, poll, rpc, uci, ui, view };

  async function load(name) {
    const path = `/luci-static/resources/${name.replaceAll('.', '/')}.js`;
    const source = await (await fetch(path)).text();
    const [head] = /^(?:\s*'[^'\n]*';)*/.exec(source);
    const wanted = [...head.matchAll(/'require (\S+?)(?: as (\S+?))?';/g)];
    const names = wanted.map(([, module, as = module]) => as.replace(/\W/g, '_'));
    const given = await Promise.all(wanted.map(([, module]) => L.require(module)));
    const Module = new Function('window', 'document', 'L', ...names, source)(window, document, L, ...given);
    return new Module();
  }

  class LuCI {
    constructor(env) {
      this.env = env;
    }
    require(name) {
      modules[name] ??= load(name);
      return Promise.resolve(modules[name]);
    }
    bind(method, context, ...bound) {
      return method.bind(context, ...bound);
    }
    url(path) {
      return `${this.env.scriptname}/${path}`;
    }
    hasViewPermission() {
      return this.env.nodespec.satisfied ? !this.env.nodespec.readonly : null;
    }
  }

  Object.assign(window, { _, E, LuCI });
})();
