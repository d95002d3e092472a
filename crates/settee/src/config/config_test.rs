use std::path::Path;

use serde::Deserialize;
use settee_core::error::codes;

use super::*;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Account {
    database: String,
    retries: u32,
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_later_layer_wins_and_says_where_it_came_from() {
    let file = "database = \"file\"\nretries = 1\n[settee]\nweight = 5\n";
    let layers = Layers::new()
        .with_file(Path::new("account.toml"), file)
        .unwrap()
        .with_environment::<Account>(
            "account",
            environment(&[("ACCOUNT_RETRIES", "2"), ("ACCOUNT_UNRELATED", "x"), ("SETTEE_WEIGHT", "7")]),
        )
        .with_flag("database=flag")
        .unwrap();
    let (settings, account) = layers.read::<Account>().unwrap();
    assert_eq!(account, Account { database: "flag".into(), retries: 2 });
    assert_eq!(settings.weight, 7);
    assert_eq!(layers.sources()["settee.weight"], Source::Environment("SETTEE_WEIGHT".into()));
}

#[test]
fn a_typo_names_its_place_and_the_nearest_key() {
    let layers = Layers::new().with_file(Path::new("account.toml"), "databse = \"x\"").unwrap();
    let error = layers.read::<Account>().unwrap_err();
    assert_eq!(error.code(), &codes::UNKNOWN_KEY);
    assert_eq!(error.message(), "read the configuration: unknown key `databse` in account.toml; did you mean `database`?");
    let layers = Layers::new().with_environment::<Account>("account", environment(&[("SETTEE_LISTN", "127.0.0.1:1")]));
    let message = layers.read::<Account>().unwrap_err().to_string();
    assert!(
        message.contains("`settee.listn` from the environment variable SETTEE_LISTN; did you mean SETTEE_LISTEN?"),
        "{message}"
    );
    let message = Layers::new().with_flag("settee.listn=127.0.0.1:1").unwrap().read::<Account>().unwrap_err().to_string();
    assert!(message.contains("`settee.listn` from --set; did you mean --set settee.listen=VALUE?"), "{message}");
}

#[test]
fn a_flag_whose_key_no_configuration_has_is_refused_before_it_costs_anything() {
    let deep = |parts: usize| format!("{}=1", vec!["a"; parts].join("."));
    assert!(Layers::new().with_flag(&deep(16)).is_ok());
    for assignment in ["=1", " = 1", "a..b=1", ".a=1", "a.=1", "a. .b=1", &deep(17), &deep(100_000)] {
        let error = Layers::new().with_flag(assignment).unwrap_err();
        assert_eq!(error.code(), &codes::BAD_VALUE);
        let expected = "; a key has up to 16 parts with dots between them, and none is empty";
        assert!(error.message().ends_with(expected), "{}", error.message());
    }
}

#[test]
fn a_value_of_the_wrong_kind_names_its_key_and_its_place() {
    let error = Layers::new().with_flag("retries=many").unwrap().read::<Account>().unwrap_err();
    let expected = "read the configuration: `retries` from --set: invalid type: string \"many\", expected u32";
    assert_eq!((error.code(), error.message()), (&codes::BAD_VALUE, expected));
    let layers = Layers::new().with_file(Path::new("account.toml"), "[settee]\nlisten = \"here\"").unwrap();
    let message = layers.read::<Account>().unwrap_err().to_string();
    assert_eq!(
        message,
        "read the configuration: `settee.listen` in account.toml: expected IP:PORT, such as 127.0.0.1:7401, got \"here\" [APP0002]"
    );
    assert!(Layers::new().with_flag("retries").is_err());
    let (settings, _) = Layers::new().with_flag("settee.share=2/2").unwrap().read::<Account>().unwrap();
    assert!(settings.parsed_share().is_err());
}

#[test]
fn a_balancer_that_does_not_exist_is_refused_with_those_that_do() {
    let read = |name: &str| Layers::new().with_flag(&format!("settee.balancer={name}")).unwrap().read::<Account>();
    assert_eq!(read("round_robin").unwrap().0.balancer.to_string(), "round_robin");
    assert_eq!(Settings::default().balancer.to_string(), "p2c");
    let expected =
        "read the configuration: `settee.balancer` from --set: no balancer is called \"random\"; there are p2c, round_robin";
    let error = read("random").unwrap_err();
    assert_eq!((error.code(), error.message()), (&codes::BAD_VALUE, expected));
}

#[test]
fn names_are_given_as_a_list_or_with_commas_and_a_wrong_one_names_its_key_and_its_place() {
    let read = |layers: Layers| layers.read::<Account>().map(|(settings, _)| settings.allowed_hosts);
    let flag = |text: &str| read(Layers::new().with_flag(&format!("settee.allowed_hosts={text}")).unwrap());
    let file = "[settee]\nallowed_hosts = [\"pay.bank.example\", \"pay\"]";
    let expected = crate::rpc::AllowedHosts::new(["pay", "pay.bank.example"]).unwrap();
    assert_eq!(read(Layers::new().with_file(Path::new("account.toml"), file).unwrap()).unwrap(), expected);
    assert_eq!(flag("pay.bank.example, pay").unwrap(), expected);
    assert_eq!(flag("[\"pay.bank.example\", \"pay\"]").unwrap(), expected);
    let variables = environment(&[("SETTEE_ALLOWED_HOSTS", "pay.bank.example,pay")]);
    assert_eq!(read(Layers::new().with_environment::<Account>("account", variables)).unwrap(), expected);
    for wrong in ["http://pay.bank.example", "[\"pay\", \"PAY\"]", "7", "[7]"] {
        let error = flag(wrong).unwrap_err();
        assert_eq!(error.code(), &codes::BAD_VALUE);
        let start = "read the configuration: `settee.allowed_hosts` from --set: ";
        assert!(error.message().starts_with(start), "{}", error.message());
    }
}

#[test]
fn a_key_that_must_be_given_says_how_to_give_it() {
    #[derive(Debug, Deserialize)]
    struct Strict {
        #[expect(dead_code, reason = "it is never read, because it is missing")]
        database: String,
    }
    let message = Layers::new().read::<Strict>().unwrap_err().to_string();
    let expected = "`database` is missing; give it with --set database=VALUE, or in the file that --config names";
    assert!(message.contains(expected), "{message}");
}
