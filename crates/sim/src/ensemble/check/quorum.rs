//! Which servers together decide, worked out again here.

use std::collections::BTreeMap;

use zooid_proto::members::{Membership, Role};

/// Whether the voters for whom `agrees` holds are a quorum.
pub fn is_quorum(members: &Membership, agrees: impl Fn(i64) -> bool) -> bool {
    let voters: Vec<i64> = members
        .members
        .values()
        .filter(|member| member.role == Role::Participant)
        .map(|member| member.id)
        .collect();
    if !members.hierarchical {
        let agreed = voters.iter().filter(|id| agrees(**id)).count();
        return agreed * 2 > voters.len();
    }
    let mut groups = BTreeMap::new();
    for (group, ids) in &members.groups {
        for id in ids {
            let weight = members.weights.get(id).copied();
            let weight = weight.unwrap_or(i64::from(voters.contains(id)));
            let sums: &mut (i64, i64) = groups.entry(group).or_default();
            sums.0 += weight;
            if voters.contains(id) && agrees(*id) {
                sums.1 += weight;
            }
        }
    }
    groups.retain(|_, (all, _)| *all > 0);
    let won = groups
        .values()
        .filter(|(all, part)| part * 2 > *all)
        .count();
    won * 2 > groups.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majorities_and_groups_decide() {
        let line = |n: i64| format!("server.{n}=s{n}:2888:3888:participant\n");
        let three: String = (1..=3).map(line).collect();
        let members = Membership::parse(&three, false).unwrap();
        assert!(is_quorum(&members, |id| id != 2));
        assert!(!is_quorum(&members, |id| id == 2));
        let five: String = (1..=5).map(line).collect();
        let groups = "group.1=1:2\ngroup.2=3:4\ngroup.3=5\nweight.5=0\n";
        let members = Membership::parse(&(five + groups), false).unwrap();
        assert!(is_quorum(&members, |id| id != 5));
        assert!(!is_quorum(&members, |id| id != 1));
    }
}
