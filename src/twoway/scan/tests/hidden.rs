//! Extended attributes that rules hide.

use super::*;
use crate::fs::{SetExtended, XattrNames};
use crate::tree::{Name, Xattr, Xattrs};
use crate::twoway::facet::{Facet, FacetSum};
use crate::twoway::version::Version;

impl Scene {
    /// Gives a file these attributes and no others. `false` where there are none to be had.
    fn mark(&self, file: &str, all: &[(&str, &str)]) -> bool {
        let one = |(name, value): &(&str, &str)| Xattr {
            name: name.as_bytes().into(),
            value: value.as_bytes().into(),
        };
        let wanted = Xattrs::new(all.iter().map(one).collect());
        let names = XattrNames { all_namespaces: false, rsyncs_own: true, rules: None };
        let set = SetExtended { acls: None, xattrs: Some((&wanted, &names)) };
        self.replica.root().set_extended(&Name::new(file).unwrap(), Kind::File, &set).is_ok()
    }

    fn scan_without(&mut self, hidden: &[&str]) -> Counts {
        let rule = |name: &&str| Rule { xattr: true, ..Rule::new(Action::Exclude, *name) };
        self.visible = Visible::by(&Rules::from(hidden.iter().map(rule).collect::<Vec<_>>()));
        self.facets = Facets::from_iter([Facet::Xattrs]);
        let (counts, troubles) = self.scan();
        assert_eq!(troubles, [""; 0]);
        counts
    }

    /// What is known of a file.
    fn register(&self, file: &str) -> (Option<FacetSum>, Version) {
        let record = self.known(file).unwrap().record;
        let register = record.extended.get(Facet::Xattrs).unwrap();
        (register.sum, Version::clone(&register.version))
    }
}

#[test]
fn they_are_no_part_of_what_is_known() {
    let mut scene = Scene::new();
    for file in ["both", "hidden", "none"] {
        scene.write(file, file);
    }
    if !scene.mark("both", &[("user.a", "1"), ("user.b", "1")]) {
        return;
    }
    scene.mark("hidden", &[("user.b", "1")]);
    scene.scan_without(&["user.b"]);
    let both = scene.register("both");
    assert!(both.0.is_some() && !both.1.is_empty());
    assert_eq!(scene.register("hidden"), (None, Version::new()));
    assert_eq!(scene.register("none"), (None, Version::new()));

    for value in ["1", "2"] {
        scene.mark("both", &[("user.a", "1"), ("user.b", value)]);
        scene.mark("hidden", &[]);
        scene.mark("none", &[("user.b", value)]);
        assert!(!scene.scan_without(&["user.b"]).has_edits());
        assert_eq!(scene.register("both"), both);
    }
    scene.mark("both", &[("user.b", "2")]);
    assert_eq!(scene.scan_without(&["user.b"]).attributes, 1);
    assert_eq!(scene.register("both").0, None);
    assert!(scene.register("both").1.covers(&both.1) && scene.register("both").1 != both.1);
}

/// To find none at the first look is no edit, to find some is one.
#[test]
fn by_other_rules_they_are_looked_at_as_for_the_first_time() {
    let mut scene = Scene::new();
    for file in ["a", "b", "none"] {
        scene.write(file, file);
    }
    if !scene.mark("a", &[("user.a", "1")]) {
        return;
    }
    scene.mark("b", &[("user.b", "1")]);
    scene.scan_without(&[]);
    // The stamps are old enough to be relied on.
    std::thread::sleep(std::time::Duration::from_millis(50));
    scene.scan_without(&[]);
    let (a, b) = (scene.register("a"), scene.register("b"));
    let counts = scene.scan_without(&["user.b"]);
    assert_eq!((counts.attributes, counts.read), (1, 0));
    let edited = scene.register("a");
    assert_eq!(edited.0, a.0);
    assert!(edited.1.covers(&a.1) && edited.1 != a.1);
    assert_eq!(
        [scene.register("b"), scene.register("none")],
        [(None, Version::new()), (None, Version::new())]
    );

    // Where they take no part, neither do the rules.
    (scene.facets, scene.visible) = (Facets::NONE, Visible::ALL);
    scene.scan();
    assert_eq!(scene.register("a"), edited);
    assert_eq!(scene.scan_without(&["user.b"]).attributes, 0);
    assert_eq!(scene.scan_without(&[]).attributes, 2);
    assert_eq!([scene.register("a").0, scene.register("b").0], [a.0, b.0]);
}
