//! Maps of ids into a user namespace: `/proc/PID/uid_map` and `gid_map`.

/// The outside id that a uid_map or gid_map gives to the inside id 0, in the
/// reader's user namespace (user_namespaces(7): inside, outside and count on
/// each line). `None` if it gives none, or one the reader has no id for:
/// those read 4294967295, which is nobody's.
pub fn outside_of_zero(map: &str) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().map(number);
        match (fields.next()??, fields.next()??, fields.next()??) {
            (0, outside, 1..) if outside != u32::MAX => Some(outside),
            _ => None,
        }
    })
}

/// Digits only: `parse` takes a sign too.
fn number(field: &str) -> Option<u32> {
    field.bytes().all(|byte| byte.is_ascii_digit()).then(|| field.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_a_user_namespace_is_found_wherever_its_line_stands() {
        assert_eq!(outside_of_zero("         0          0 4294967295\n"), Some(0));
        assert_eq!(outside_of_zero("1 100001 10\n0 100000 1\n"), Some(100_000));
        assert_eq!(outside_of_zero("1 100001 10\n"), None);
        assert_eq!(outside_of_zero(""), None);
        assert_eq!(outside_of_zero("0 x 1\n0 7\n"), None);
        assert_eq!(outside_of_zero("0 +7 1\n0 7 0\n"), None);
    }

    #[test]
    fn an_id_the_reader_cannot_name_is_not_taken_for_one() {
        assert_eq!(outside_of_zero("0 4294967295 65536\n"), None);
    }
}
