// A stand-in of LuCI's form module: see ../../README.md. Loaded before luci.js, which gives it what it works with.
window.standInForm = ({ _, E, dom, uci }) => {
  class Value {
    constructor(map, section, name, title, description = '') {
      Object.assign(this, { map, section, name, title, description, choices: [], rmempty: true });
    }
    value(choice, title = choice) {
      this.choices.push([choice, title]);
    }
    get id() {
      return `cbid.${this.map.config}.${this.section.name}.${this.name}`;
    }
    get configured() {
      return uci.get(this.map.config, this.section.name, this.name);
    }
    /** What stands in the form. */
    get entered() {
      return this.input.value;
    }
    inputWith(attributes) {
      const { placeholder, id } = this;
      return E('input', { id: `widget.${id}`, placeholder, type: 'text', ...attributes });
    }
    widget() {
      this.input = this.inputWith({ value: this.configured ?? '' });
      return this.input;
    }
    render() {
      const label = E('label', { class: 'cbi-value-title', for: `widget.${this.id}` }, [this.title]);
      const description = E('div', { class: 'cbi-value-description' }, this.description);
      return E('div', { class: 'cbi-value', id: this.id }, [label, this.widget(), description]);
    }
    parse() {
      const { config } = this.map;
      const { entered, configured, name } = this;
      if (JSON.stringify(entered) === JSON.stringify(configured)) return;
      if (entered.length > 0) uci.set(config, this.section.name, name, entered);
      else if (configured !== undefined) uci.unset(config, this.section.name, name);
    }
  }

  class Flag extends Value {
    get entered() {
      return this.input.checked ? '1' : '0';
    }
    widget() {
      this.input = this.inputWith({
        type: 'checkbox',
        value: null,
        checked: this.configured === '1' ? '' : null,
      });
      return this.input;
    }
  }

  class ListValue extends Value {
    widget() {
      const option = ([choice, title]) =>
        E('option', { value: choice, selected: choice === (this.configured ?? '') ? '' : null }, [title]);
      this.input = E('select', { id: `widget.${this.id}` }, this.choices.map(option));
      return this.input;
    }
  }

  class DynamicList extends Value {
    get entered() {
      return [...this.items.querySelectorAll('.item')].map(item => item.textContent);
    }
    widget() {
      const item = text => E('div', { class: 'item' }, [text]);
      const keydown = event => {
        if (event.key !== 'Enter' || this.input.value === '') return;
        event.preventDefault();
        this.items.insertBefore(item(this.input.value), this.input.parentNode);
        this.input.value = '';
      };
      this.input = this.inputWith({ keydown });
      const shown = [this.configured ?? []].flat().map(item);
      this.items = E('div', { class: 'cbi-dynlist' }, [
        ...shown,
        E('div', { class: 'add-item' }, this.input),
      ]);
      return this.items;
    }
  }

  class NamedSection {
    constructor(map, name, type, title, description = '') {
      Object.assign(this, { map, name, type, title, description, options: [] });
    }
    option(Kind, ...words) {
      const option = new Kind(this.map, this, ...words);
      this.options.push(option);
      return option;
    }
    get exists() {
      return uci.get(this.map.config, this.name) !== undefined;
    }
    change(how) {
      const { config } = this.map;
      if (how === 'add') uci.add(config, this.type, this.name);
      else uci.remove(config, this.name);
      return this.map.save();
    }
    contents() {
      this.isShown = this.exists;
      if (this.exists) return this.options.map(option => option.render());
      return this.addremove ? [E('button', { click: () => this.change('add') }, [_('Add')])] : [];
    }
    render() {
      const removing =
        this.exists && this.addremove
          ? [E('button', { click: () => this.change('remove') }, [_('Delete')])]
          : [];
      const head = [E('h3', this.title), E('div', this.description)];
      const id = `cbi-${this.map.config}-${this.name}`;
      return E('div', { class: 'cbi-section', id }, [...head, ...removing, ...this.contents()]);
    }
    parse() {
      if (this.exists && this.isShown) for (const option of this.options) option.parse();
    }
  }

  // All sections of a type, each with the same options.
  class TypedSection {
    constructor(map, type, title, description = '') {
      Object.assign(this, { map, type, title, description, kinds: [], sections: [] });
    }
    option(...words) {
      const options = { words, said: {} };
      this.kinds.push(options);
      return options.said;
    }
    sectionNamed(name) {
      const section = new NamedSection(this.map, name, this.type, '');
      section.addremove = this.addremove;
      for (const { words, said } of this.kinds) Object.assign(section.option(...words), said);
      return section;
    }
    add() {
      uci.add(this.map.config, this.type);
      return this.map.save();
    }
    render() {
      this.sections = uci.sections(this.map.config, this.type).map(each => this.sectionNamed(each['.name']));
      const adding = this.addremove ? [E('button', { click: () => this.add() }, [_('Add')])] : [];
      const head = [E('h3', this.title), E('div', this.description)];
      const id = `cbi-${this.map.config}-${this.type}`;
      const shown = this.sections.map(section => section.render());
      return E('div', { class: 'cbi-section', id }, [...head, ...shown, ...adding]);
    }
    parse() {
      for (const section of this.sections) section.parse();
    }
  }

  class FormMap {
    constructor(config, title, description) {
      Object.assign(this, { config, title, description, sections: [] });
      FormMap.all.push(this);
    }
    section(Kind, ...words) {
      const section = new Kind(this, ...words);
      this.sections.push(section);
      return section;
    }
    async render() {
      await uci.load(this.config);
      this.root ??= E('div', { class: 'cbi-map', id: `cbi-${this.config}` });
      const head = [E('h2', this.title), E('div', this.description)];
      dom.content(this.root, [...head, ...this.sections.map(section => section.render())]);
      return this.root;
    }
    async save() {
      for (const section of this.sections) section.parse();
      await uci.save();
      delete uci.values[this.config];
      return this.render();
    }
  }
  FormMap.all = [];

  return { Map: FormMap, NamedSection, TypedSection, Value, Flag, ListValue, DynamicList };
};
