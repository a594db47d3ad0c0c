//! Writes the sample of households, always the same: `cargo run -p chancery-contract-food-assistance --example sample > sample/households.csv`.
//! They are made up; only the shape is that of real case files.

/// A linear congruential generator (Knuth, The Art of Computer Programming, vol. 2, 3.3.4, MMIX): the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

const STATES: [&str; 8] = ["New York", "Ohio", "Texas", "Colorado", "Maryland", "Michigan", "Vermont", "Utah"];

fn main() {
    let mut random = Random(2024);
    println!(
        "case_id,month,state,household_size,earned_income,unearned_income,rent_or_mortgage,utilities,medical_deduction,\
         dependent_care_deduction,child_support_deduction,homeless_deduction,shelter_cap_applies"
    );
    for number in 1..=200 {
        let month = random.below(12);
        let (year, month) = if month < 3 { (2023, month + 10) } else { (2024, month - 2) };
        let state = STATES[random.below(8) as usize];
        let size = 1 + random.below(9).min(random.below(9));
        let earned = if random.below(2) == 0 { 0 } else { random.below(2_400) };
        let unearned = if random.below(3) == 0 { 0 } else { random.below(1_500) };
        let homeless = random.below(20) == 0;
        let (rent, utilities) = if homeless { (0, 0) } else { (random.below(1_800), random.below(820)) };
        let elderly = random.below(4) == 0;
        let medical = if elderly { random.below(300) } else { 0 };
        let care = if random.below(8) == 0 { random.below(600) } else { 0 };
        let support = if random.below(12) == 0 { random.below(400) } else { 0 };
        println!(
            "{year}{month:02}-S-{number:04},{year}-{month:02},{state},{size},{earned},{unearned},{rent},{utilities},{medical},{care},{support},{},{}",
            if homeless { 180 } else { 0 },
            if elderly { "no" } else { "yes" }
        );
    }
}
