//! Which instruction set is used, and how it is forced down.

use std::process::Command;

use negmine_kernels::Isa;
use negmine_kernels::isa::ENVIRONMENT;

#[test]
fn names_round_trip() {
    for isa in Isa::ALL {
        assert_eq!(Isa::from_name(isa.name()), Some(isa));
        assert_eq!(isa.to_string(), isa.name());
    }
    assert_eq!(Isa::from_name("avx1024"), None);
}

#[test]
fn available_ones_rise_from_scalar_to_the_best() {
    let available = Isa::available();
    assert_eq!(available.first(), Some(&Isa::Scalar));
    assert_eq!(available.last(), Some(&Isa::best()));
    assert!(available.is_sorted());
    assert!(available.iter().all(|isa| isa.is_available()));
}

#[test]
fn a_request_can_only_force_down() {
    assert_eq!(Isa::choose(None), Ok(Isa::best()));
    assert_eq!(Isa::choose(Some("")), Ok(Isa::best()));
    for isa in Isa::ALL {
        let chosen = Isa::choose(Some(isa.name()));
        if isa.is_available() {
            assert_eq!(chosen, Ok(isa));
        } else {
            let message = chosen.unwrap_err().to_string();
            assert!(message.contains("scalar") && message.contains(isa.name()), "{message}");
        }
    }
}

#[test]
fn an_unknown_request_names_the_available_ones() {
    let error = Isa::choose(Some("sse9")).unwrap_err();
    assert_eq!(error.available, Isa::available());
    let message = error.to_string();
    assert!(message.starts_with("`NEGMINE_ISA` must be one of scalar"), "{message}");
    assert!(message.ends_with("got \"sse9\"."), "{message}");
}

#[test]
fn the_active_one_is_available_and_stays() {
    let first = Isa::active().unwrap();
    assert!(first.is_available());
    assert_eq!(Isa::active(), Ok(first));
}

/// Not a test by itself: what the process started by `the_environment_forces_down` runs.
#[test]
#[ignore = "run in a process of its own by another test"]
fn report() {
    match Isa::active() {
        Ok(isa) => eprintln!("active: {isa}."),
        Err(error) => eprintln!("error: {error}"),
    }
}

#[test]
fn the_environment_forces_down() {
    let report = |value: &str| {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "report", "--ignored", "--nocapture"])
            .env(ENVIRONMENT, value)
            .output()
            .unwrap();
        String::from_utf8_lossy(&child.stderr).into_owned()
    };
    for isa in Isa::available() {
        assert!(report(isa.name()).contains(&format!("active: {isa}.")));
    }
    assert!(report("").contains(&format!("active: {}.", Isa::best())));
    assert!(report("altivec").contains("error: `NEGMINE_ISA` must be one of scalar"));
}
