'use strict';
'require baseclass';

/*
 * What the mediator says of itself, as nodes.
 *
 * Names, reasons, targets and whatever else comes from elsewhere is a text node: E() takes a lone string for HTML, so
 * children always stand in an array.
 */

const without = {
	CAP_NET_BIND_SERVICE: _('Numbers below 1024 cannot be used.'),
	CAP_NET_RAW: _('Packets cannot be watched: events come from sockets only.')
};

function text(value) {
	return value == null ? '' : String(value);
}

function when(iso) {
	const date = new Date(iso);
	return isNaN(date) ? text(iso) : date.toLocaleString();
}

function warning(words) {
	return E('div', { 'class': 'alert-message warning' }, [ words ]);
}

function row(cells, tag) {
	return E('tr', { 'class': 'tr' }, cells.map(cell =>
		E(tag || 'td', { 'class': (tag || 'td') + ' left' }, Array.isArray(cell) ? cell : [ cell ])));
}

/* One line each. */
function lines(values) {
	return values.flatMap((value, i) => i === 0 ? [ value ] : [ E('br'), value ]);
}

function section(id, title, content) {
	return E('div', { 'class': 'cbi-section', 'id': 'entremise-' + id }, [ E('h3', [ title ]) ].concat(content));
}

function consentWords(consent, stopped) {
	if (!consent.allowed)
		return _('not allowed');
	if (consent.hours != null && !consent.hours.now)
		return _('nobody at this hour, but %s').format(consent.hours.allowed.map(text).join(', ') || _('never'));
	if (consent.openUntil != null)
		return _('allowed until %s').format(when(consent.openUntil));
	if (stopped)
		return _('stopped');
	return consent.consent === 'always' ? _('always allowed') : _('not allowed now');
}

function linkWords(link) {
	if (link.online)
		return _('connected with %s since %s').format(text(link.server), when(link.since));
	return _('not connected since %s').format(when(link.since)) + (link.reason == null ? '' : ': ' + text(link.reason));
}

function warnings(status) {
	const { problem } = status.configuration;
	return [
		...(problem == null ? [] : [ _('The configuration is not taken, what was good before stays in force. %s').format(text(problem)) ]),
		...(status.stopped ? [ _('All access is stopped until something is allowed again.') ] : []),
		...status.missingCapabilities.map(name => without[name] || _('%s is missing.').format(text(name)))
	].map(warning);
}

function overview(status) {
	return E('table', { 'class': 'table' }, [
		row([ _('Name'), text(status.name) ]),
		row([ _('Version'), text(status.version) ]),
		row([ _('Server'), linkWords(status.link) ]),
		row([ _('Assistance'), consentWords(status.consent.assistance, status.stopped) ]),
		row([ _('Service'), consentWords(status.consent.service, status.stopped) ])
	]);
}

function portWords(port) {
	return '%s %s %d %s'.format(text(port.protocol), text(port.address), port.number, text(port.state));
}

function terminals(attached) {
	if (attached.length === 0)
		return E('p', [ E('em', [ _('Nobody is here.') ]) ]);
	return E('table', { 'class': 'table' }, [
		row([ _('Terminal'), _('Here since'), _('Purpose and grant'), _('Ports'), _('Has reached') ], 'th')
	].concat(attached.map(one => row([
		text(one.terminal),
		when(one.since) + (one.away ? ' ' + _('(away, waited for)') : ''),
		'%s, %s'.format(text(one.purpose), text(one.grant)),
		lines(one.ports.map(portWords)),
		lines(one.targets.map(text))
	]))));
}

function events(recent) {
	const newestFirst = recent.slice().reverse();
	return E('table', { 'class': 'table' }, newestFirst.map(event => row([
		when(event.time),
		text(event.what),
		Object.entries(event.details).map(([ name, value ]) => name + ': ' + text(value)).join(', ')
	])));
}

return baseclass.extend({
	/* All of it, or why there is nothing to show. `enabled`: as the configuration says. */
	nodes(status, enabled) {
		if (status.version == null) {
			const reason = text(status.error && status.error.message);
			return [
				warning(enabled
					? _('The mediator does not answer. %s').format(reason)
					: _('The mediator is switched off: enable it below, then save and apply.'))
			];
		}
		return [
			...warnings(status),
			section('overview', _('State'), [ overview(status) ]),
			section('attached', _('Who is here'), [ terminals(status.attached) ]),
			section('events', _('What has happened'), [ events(status.recent || []) ])
		];
	}
});
