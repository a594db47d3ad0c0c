//! Every branch of the contract.

use chancery_contract_minimal::CONTRACT;
use chancery_testing::run;

#[test]
fn a_note_is_kept_and_an_empty_one_refused() {
    run(CONTRACT, "minimal", |world| {
        let anyone = world.actor("anyone");
        world.deploy(&anyone, ()).done::<()>();
        assert_eq!(world.query("read", ()).done::<Option<String>>(), None);
        world.call(&anyone, "write", (String::from("hello"),)).done::<()>();
        assert_eq!(world.query("read", ()).done::<Option<String>>(), Some("hello".into()));
        assert_eq!(world.call(&anyone, "write", (String::new(),)).refused(), "Empty");
    });
}
