use domain::channel::Channel;

use super::*;
use crate::provisioner::Access;

#[test]
fn facts_hold_the_given_arguments_only() {
    let name = ProjectName::parse("web").unwrap();
    let provider = ProviderKey::parse("search").unwrap();
    let mut provision = Provision { name: name.clone(), provider, cap: None, lifetime: None, replace: None };
    let facts = |command: Command| command.facts().into_json();
    assert_eq!(facts(Command::Provision(provision.clone())), json!({ "name": "web", "provider": "search" }));
    provision.cap = Some(Cents::ZERO);
    provision.replace = Some(false);
    let shown = json!({ "name": "web", "provider": "search", "cap_cents": 0, "replace": false });
    assert_eq!(facts(Command::Provision(provision)), shown);
    let page = Page::new(None, Some(200), Some("after-7")).unwrap();
    assert_eq!(facts(Command::ListPage(page)), json!({ "cursor": "given", "limit": 200 }));
    assert_eq!(facts(Command::Teardown(Target::All)), json!({ "all": true }));
    assert_eq!(facts(Command::ReadResource(Resource::Project(name))), json!({ "name": "web" }));
    assert_eq!(facts(Command::ReadResource(Resource::Audit)), json!({ "uri": "stripe-projects://audit" }));
}

#[test]
fn each_channel_has_its_own_word_for_an_action() {
    let rotate = Command::Rotate { name: ProjectName::parse("web").unwrap(), replace: false }.action();
    assert_eq!((rotate.as_str(Channel::Mcp), rotate.as_str(Channel::Cli)), ("rotate_key", "rotate"));
    assert_eq!(rotate.access(), Access::Write);
    let list = Command::List { torn_down: false, everywhere: false }.action();
    assert_eq!((list.as_str(Channel::Mcp), list.as_str(Channel::Cli)), ("list_projects", "list"));
    assert_eq!(list.access(), Access::Read);
}
