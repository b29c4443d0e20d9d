from unprompt.datasets.generation.plan import Plan, seed_of


def test_a_seed_is_the_prompts_own() -> None:
    # Written down, for pictures of another version or machine must be the same.
    assert seed_of("a red cat", 0) == 507018117
    assert seed_of("a red cat", 1) == 1878240433
    assert seed_of("кот 猫", 0) == seed_of("кот 猫", 0) != seed_of("кот", 0)


def test_seeds_do_not_depend_on_what_else_is_drawn() -> None:
    few = Plan(["a", "b"], 1, 10).shard(0)
    many = [drawing for shard in range(4) for drawing in Plan(["c", "b", "a"], 3, 3).shard(shard)]
    assert {(each.prompt, each.seed) for each in few} <= {(each.prompt, each.seed) for each in many}


def test_shards_are_the_plan_in_pieces() -> None:
    plan = Plan(["a", "b", "c"], 3, 4)
    shards = [plan.shard(shard) for shard in range(plan.shards)]
    assert [len(shard) for shard in shards] == [4, 4, 1]
    drawings = [drawing for shard in shards for drawing in shard]
    assert [drawing.number for drawing in drawings] == list(range(len(plan)))
    assert "".join(drawing.prompt for drawing in drawings) == "aaabbbccc"
    assert len({drawing.seed for drawing in drawings}) == 9


def test_the_digest_tells_order_and_borders() -> None:
    plans = [Plan(prompts, 1, 1) for prompts in (["ab", "c"], ["a", "bc"], ["c", "ab"], ["ab"])]
    assert len({plan.digest() for plan in plans}) == 4
