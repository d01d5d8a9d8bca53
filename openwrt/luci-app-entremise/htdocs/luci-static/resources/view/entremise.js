'use strict';
'require dom';
'require form';
'require poll';
'require rpc';
'require uci';
'require ui';
'require view';
'require entremise.state as state';

/* The page of the mediator: what goes on, the owner's consent, and the configuration. */

/* A question starts a program, which is work for a small router. */
const pollSeconds = 15;

const consentMinutes = 30;

const callStatus = rpc.declare({ object: 'entremise', method: 'status', expect: { '': {} } });
const callAllow = rpc.declare({ object: 'entremise', method: 'allow', params: [ 'minutes' ], expect: { '': {} } });
const callRevoke = rpc.declare({ object: 'entremise', method: 'revoke', expect: { '': {} } });

/* What went wrong on the way has the form of what the mediator says when something is wrong. */
function answered(call) {
	return call.catch(error => ({ error: { message: error.message } }));
}

function addList(section, name, title, placeholder, description) {
	const option = section.option(form.DynamicList, name, title, description);
	option.placeholder = placeholder;
	return option;
}

/* The program says what is no number, and which are allowed. */
function addNumber(section, name, title, usual, description) {
	const option = section.option(form.Value, name, title, description);
	option.placeholder = String(usual);
	return option;
}

function addChoice(section, name, title, choices, description) {
	const option = section.option(form.ListValue, name, title, description);
	option.value('', _('default'));
	choices.forEach(choice => option.value(choice));
	option.optional = true;
	return option;
}

/* What the owner may say for everybody and for one purpose. */
function addPermissions(section) {
	addChoice(section, 'consent', _('Consent'), [ 'always', 'window' ],
		_('window: only for as long as it was allowed above; always: whenever a grant says so.'));
	addList(section, 'hours', _('Hours'), 'mon-fri 08:00-18:00');
	addList(section, 'command', _('Commands'), 'open', _('All, unless some are named.'));
	addList(section, 'network', _('Networks'), 'lan', _('Which devices may be reached: lan, or networks as 192.168.1.0/24.'));
	addList(section, 'tcp', _('TCP numbers of devices'), '1-65535');
	addList(section, 'udp', _('UDP numbers of devices'), '1-65535');
	addList(section, 'port_address', _('Own addresses'), 'lan', _('Where numbers of this router may be opened.'));
	addList(section, 'port_tcp', _('Own TCP numbers'), '1024-65535');
	addList(section, 'port_udp', _('Own UDP numbers'), '1024-65535');
}

function addMediator(map) {
	const section = map.section(form.NamedSection, 'main', 'mediator', _('Mediator'));
	section.option(form.Flag, 'enabled', _('Enabled')).rmempty = false;
	addList(section, 'server', _('Servers'), 'server.example:8443', _('Instead of those that the operator names.'));
	section.option(form.Value, 'proxy', _('Proxy')).placeholder = 'http://proxy.example:3128';
	addChoice(section, 'log_level', _('Log level'), [ 'error', 'warn', 'info', 'debug' ]);
	addLimits(section);
}

/* What the program itself takes, and how long it waits. */
function addLimits(section) {
	addNumber(section, 'max_hold_ms', _('Waits for a terminal that is gone (ms)'), 900000,
		_('0: not at all. Its ports and connections stay meanwhile.'));
	addNumber(section, 'keepalive_ms', _('Longest silence of the link (ms)'), 240000);
	addNumber(section, 'receive_bytes', _('Memory for what devices are sent (bytes)'), 8388608,
		_('Of all connections together.'));
	addNumber(section, 'replay_bytes', _('Memory for what is sent again after a break (bytes)'), 6291456);
	addNumber(section, 'audit_max_bytes', _('Size of the audit file (bytes)'), 1048576,
		_('There are two of them, in memory unless another place is named.'));
	section.option(form.Value, 'audit_file', _('Audit file')).placeholder = '/var/run/entremise/audit.jsonl';
	addList(section, 'lease_file', _('DHCP lease files'), '/tmp/dhcp.leases');
}

/* What this router wants others to do for it. */
function addServices(map) {
	const section = map.section(form.TypedSection, 'service', _('Wanted services'),
		_('A program at the operator that offers a service of that name learns of this router.'));
	section.anonymous = true;
	section.addremove = true;
	section.option(form.Value, 'name', _('Name')).placeholder = 'voip';
	addList(section, 'parameter', _('Parameters'), 'account=4711', _('NAME=VALUE'));
}

function addOwner(map) {
	const section = map.section(form.NamedSection, 'all', 'owner', _('What the owner allows'),
		_('Over and above any grant.'));
	addPermissions(section);
	addList(section, 'purpose', _('Purposes'), 'assistance');
	addList(section, 'lan', _('Interfaces of the LAN'), 'br-lan');
	addList(section, 'deny', _('Never reached'), '192.168.1.2');
	addList(section, 'hide', _('Not told to anybody'), 'hostname');
	[ [ 'assistance', _('Only for assistance') ], [ 'service', _('Only for services') ] ].forEach(([ name, title ]) => {
		const narrower = map.section(form.NamedSection, name, 'owner', title);
		narrower.addremove = true;
		addPermissions(narrower);
	});
}

return view.extend({
	load() {
		return Promise.all([ answered(callStatus()), uci.load('entremise') ]);
	},

	render([ status ]) {
		this.box = E('div', { 'id': 'entremise-state' });
		this.show(status);
		poll.add(() => document.hidden ? null : answered(callStatus()).then(L.bind(this.show, this)), pollSeconds);

		const map = new form.Map('entremise', _('Configuration'),
			_('The program checks it. What is wrong is said above, and what was good before stays in force.'));
		addMediator(map);
		addOwner(map);
		addServices(map);
		return map.render().then(formNode => E('div', {}, [
			E('h2', [ _('Entremise') ]),
			this.box,
			this.buttons(),
			formNode
		]));
	},

	show(status) {
		dom.content(this.box, state.nodes(status, uci.get('entremise', 'main', 'enabled') === '1'));
	},

	buttons() {
		const disabled = L.hasViewPermission() ? null : true;
		return E('div', { 'class': 'cbi-section' }, [
			E('button', {
				'class': 'btn cbi-button cbi-button-apply',
				'click': ui.createHandlerFn(this, 'carryOut', () => callAllow(consentMinutes)),
				'disabled': disabled
			}, [ _('Allow for %d minutes').format(consentMinutes) ]),
			' ',
			E('button', {
				'class': 'btn cbi-button cbi-button-negative',
				'click': ui.createHandlerFn(this, 'carryOut', () => callRevoke()),
				'disabled': disabled
			}, [ _('Stop all access') ])
		]);
	},

	/* The answer is the state as it is afterwards. */
	carryOut(call) {
		return answered(call()).then(status => {
			if (status.error != null)
				ui.addNotification(null, E('p', [ String(status.error.message) ]), 'danger');
			else
				this.show(status);
		});
	}
});
